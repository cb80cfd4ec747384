/** Visible ASCII, with spaces only inside; nothing at all is plain too. */
const plain = /^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/;
const sentinel = /^=\?base64\?.*\?=$/;

/**
 * A value as it stands in an `Mcp-Name` or `Mcp-Param-*` header: as it is where that is safe, else in Base64 between markers.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#value-encoding
 */
export const encodeHeaderValue = (value: string): string =>
  plain.test(value) && !sentinel.test(value) ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`;
