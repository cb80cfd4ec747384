import { isObject, type JsonObject } from '../../gateway/mcp/message.ts';
import { argumentAt, type ParameterHeader, parameterHeadersOf } from '../../gateway/surface/parameter-headers.ts';
import { encodeHeaderValue } from '../../gateway/upstream/encode-header-value.ts';

/** Knows which arguments of which tools have to be repeated in headers `Mcp-Param-*`, from the lists that passed by. */
export const createToolHeaders = () => {
  const known = new Map<string, readonly ParameterHeader[]>();
  return {
    /** @param result - of `tools/list` */
    learn: (result: JsonObject): void => {
      for (const tool of Array.isArray(result.tools) ? result.tools : []) {
        if (!isObject(tool) || typeof tool.name !== 'string') continue;
        const read = parameterHeadersOf(tool.inputSchema);
        if (read.ok && read.headers.length > 0) known.set(tool.name, read.headers);
        else known.delete(tool.name);
      }
    },
    /** @param params - of `tools/call` */
    headersOf: ({ name, arguments: given }: JsonObject): Record<string, string> =>
      Object.fromEntries(
        (known.get(String(name)) ?? []).flatMap(({ header, path }) => {
          const value = argumentAt(given, path);
          return value === undefined || value === null ? [] : [[header, encodeHeaderValue(String(value))]];
        }),
      ),
  };
};
