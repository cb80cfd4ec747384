import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import type { Multiplexer } from './multiplexer.ts';

/** Newest revision a stdio server is asked for, and all that are understood. @see https://modelcontextprotocol.io/specification/versioning */
const protocolVersions = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];

const InitializeResultSchema = z.looseObject({
  protocolVersion: z.string(),
  capabilities: z.looseObject({}),
  serverInfo: z.looseObject({ name: z.string(), version: z.string() }),
});
export type InitializeResult = z.infer<typeof InitializeResultSchema>;

/**
 * Opens the one MCP session the host has with a stdio server; the host offers it no capability.
 * @param signal - gives up on a server that does not answer
 * @returns its answer, which all callers get
 * @throws {PlatformError} `server_unavailable` when it answers nothing usable in time
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle
 */
export const initializeServer = async (multiplexer: Multiplexer, signal: AbortSignal): Promise<InitializeResult> => {
  const params = { protocolVersion: protocolVersions[0], capabilities: {}, clientInfo: { name: 'quarterdeck-host', version: '1.0.0' } };
  const answer = await multiplexer.call({ jsonrpc: '2.0', id: 'initialize', method: 'initialize', params }, { scope: 'host', signal });
  if (signal.aborted) throw new PlatformError('server_unavailable', 'It did not answer the first message in time.');
  const result = InitializeResultSchema.safeParse(answer.result);
  if (!result.success) throw new PlatformError('server_unavailable', 'It answered the first message with something else than MCP.');
  if (!protocolVersions.includes(result.data.protocolVersion))
    throw new PlatformError('server_unavailable', `It speaks MCP ${result.data.protocolVersion}, which is unknown here.`);
  multiplexer.notify('notifications/initialized');
  return result.data;
};
