import { isExactNumber, textOfExactNumber } from '../../schema/exact-json.ts';
import type { JsonObject } from '../mcp/message.ts';
import { argumentAt, type ParameterHeader } from '../surface/parameter-headers.ts';
import { encodeHeaderValue } from './encode-header-value.ts';

const textOf = (value: unknown): string | undefined => {
  if (typeof value === 'string') return value.isWellFormed() ? value : undefined;
  if (isExactNumber(value)) return textOfExactNumber(value);
  if (typeof value === 'boolean' || Number.isSafeInteger(value)) return String(value);
  return undefined;
};

/**
 * The `Mcp-Param-*` headers that repeat arguments of a call, as the tool's schema asks; what is absent or null is left out.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#client-behavior
 */
export const parameterValues = (headers: readonly ParameterHeader[], argumentsOfCall: JsonObject): Record<string, string> => {
  const values: Record<string, string> = {};
  for (const { header, path } of headers) {
    const text = textOf(argumentAt(argumentsOfCall, path));
    if (text !== undefined) values[header] = encodeHeaderValue(text);
  }
  return values;
};
