/**
 * What a client without a session and without the version header speaks.
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#protocol-version-header
 */
export const assumedVersion = '2025-03-26';

/** From 2025-11-25 on clients take an event without data, which tells them where a stream begins; older ones would choke on it. */
export const takesPriming = (protocolVersion: string): boolean => protocolVersion >= '2025-11-25';

/** One revision has batches; JSON-RPC itself does, which is all that HTTP+SSE of the first revision says. */
export const hasBatches = (protocolVersion: string, transport: 'streamable' | 'sse'): boolean =>
  protocolVersion === '2025-03-26' || (transport === 'sse' && protocolVersion === '2024-11-05');
