import { required, type ToolCall } from './tool-call.ts';

/** `Mcp-Param-*` headers that no schema knows: they are passed on as they came. Those of the schema are made anew for the server. */
export const unknownParameterHeaders = (call: ToolCall): Record<string, string> | undefined => {
  const given = Object.entries(call.request.parameterHeaders);
  if (given.length === 0) return undefined;
  const { headers } = required(call.tool, 'the tool');
  return Object.fromEntries(given.filter(([name]) => !headers.some(({ header }) => header === name)));
};
