import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import { isLegacyVersion, legacyVersions, newestLegacy } from '../../schema/mcp-revisions.ts';
import { hostInfo } from './host-info.ts';
import type { Multiplexer } from './multiplexer.ts';
import { hostScope } from './pending-requests.ts';

const InitializeResultSchema = z.looseObject({
  protocolVersion: z.string(),
  capabilities: z.looseObject({}),
  serverInfo: z.looseObject({ name: z.string(), version: z.string() }),
});
export type InitializeResult = z.infer<typeof InitializeResultSchema>;

/** What a client says of itself in `initialize`. */
export type Handshake = { protocolVersion: string; capabilities: Record<string, unknown>; clientInfo: { name: string; version: string } };

const HandshakeSchema = z.object({
  protocolVersion: z.enum(legacyVersions).catch(newestLegacy),
  capabilities: z.record(z.string(), z.unknown()).catch({}),
  clientInfo: z.looseObject({ name: z.string(), version: z.string() }).catch(hostInfo),
});

/** Reads the parameters of an `initialize`; what is missing or unknown becomes what the host says itself. */
export const readHandshake = (params: unknown): Handshake => HandshakeSchema.parse(params ?? {});

/** What the host says to a server that many callers share: it has no model, no person and no folders to offer. */
export const hostHandshake: Handshake = readHandshake(undefined);

/**
 * Opens the one MCP session that a process of the legacy era has.
 * @param signal - gives up on a server that does not answer
 * @returns its answer, which all callers get
 * @throws {PlatformError} `server_unavailable` when it answers nothing usable in time
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle
 */
export const initializeServer = async (multiplexer: Multiplexer, handshake: Handshake, signal: AbortSignal): Promise<InitializeResult> => {
  const request = { jsonrpc: '2.0' as const, id: 'initialize', method: 'initialize', params: handshake };
  const answer = await multiplexer.call(request, { scope: hostScope, signal });
  if (signal.aborted) throw new PlatformError('server_unavailable', 'It did not answer the first message in time.');
  const result = InitializeResultSchema.safeParse(answer.result);
  if (!result.success) throw new PlatformError('server_unavailable', 'It answered the first message with something else than MCP.');
  if (!isLegacyVersion(result.data.protocolVersion))
    throw new PlatformError('server_unavailable', `It speaks MCP ${result.data.protocolVersion}, which is unknown here.`);
  multiplexer.notify('notifications/initialized');
  return result.data;
};
