const prefix = '=?base64?';
const suffix = '?=';
const canonicalBase64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const visible = /^[\t\x20-\x7e]*$/;
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The text that a header `Mcp-Name` or `Mcp-Param-*` stands for.
 * @returns undefined where the value holds characters that no header has, or is Base64 with a fault
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#value-encoding
 */
export const decodeHeaderValue = (value: string): string | undefined => {
  if (!visible.test(value)) return undefined;
  if (!value.startsWith(prefix) || !value.endsWith(suffix)) return value;
  const encoded = value.slice(prefix.length, -suffix.length);
  // Node reads Base64 with faults as well; two spellings of one value would be two values to somebody else
  if (!canonicalBase64.test(encoded)) return undefined;
  try {
    return decoder.decode(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
};
