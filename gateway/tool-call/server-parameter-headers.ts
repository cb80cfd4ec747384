import { isObject } from '../mcp/message.ts';
import { type ParameterHeader, parameterHeadersOf } from '../surface/parameter-headers.ts';
import { parameterValues } from '../upstream/parameter-values.ts';
import { required, type ToolCall } from './tool-call.ts';

const none: readonly ParameterHeader[] = [];
const known = new WeakMap<object, readonly ParameterHeader[]>();

const headersOf = (inputSchema: unknown): readonly ParameterHeader[] => {
  if (!isObject(inputSchema)) return none;
  const found = known.get(inputSchema);
  if (found) return found;
  const read = parameterHeadersOf(inputSchema);
  const headers = read.ok ? read.headers : none;
  known.set(inputSchema, headers);
  return headers;
};

/**
 * The `Mcp-Param-*` headers of a call for a modern server: made anew from the arguments that it gets, by the schema that it has. Those
 * that no schema knows are passed on as they came.
 */
export const serverParameterHeaders = (call: ToolCall): Record<string, string> | undefined => {
  const { pinned, headers: shown } = required(call.tool, 'the tool');
  const own = headersOf(pinned.definition.inputSchema);
  const given = Object.keys(call.request.parameterHeaders);
  if (own.length === 0 && given.length === 0) return undefined;
  const isKnown = new Set([...own, ...shown].map(({ header }) => header));
  const unknown = given.filter((name) => !isKnown.has(name)).map((name) => [name, call.request.parameterHeaders[name] ?? '']);
  return { ...Object.fromEntries(unknown), ...parameterValues(own, call.arguments) };
};
