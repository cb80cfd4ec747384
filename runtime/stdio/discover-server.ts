import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import { isLegacyVersion, metaKeys, modernVersions, newestModern } from '../../schema/mcp-revisions.ts';
import { hostInfo } from './host-info.ts';
import { objectAt, rpcErrorCodes } from './json-rpc.ts';
import type { Multiplexer } from './multiplexer.ts';
import { hostScope } from './pending-requests.ts';

const DiscoverResultSchema = z.looseObject({ supportedVersions: z.array(z.string()), capabilities: z.looseObject({}) });

/** A server of the modern era, as it was found; `protocolVersion` is what both sides speak. */
export type DiscoveredServer = {
  protocolVersion: string;
  capabilities: Record<string, unknown>;
  serverInfo?: { name: string; version: string };
};

const ServerInfoSchema = z.looseObject({ name: z.string(), version: z.string() });

/** `_meta` of a request of the host's own. */
export const hostMeta = (protocolVersion: string) => ({
  [metaKeys.protocolVersion]: protocolVersion,
  [metaKeys.clientInfo]: hostInfo,
  [metaKeys.clientCapabilities]: {},
});

const unknownVersions = (versions: readonly string[]) =>
  new PlatformError('server_unavailable', `It speaks MCP ${versions.join(', ').slice(0, 200)}, which is unknown here.`);

/** What a server of both eras is left to be, when its modern revisions are not ours. */
const legacyOr = (versions: readonly string[]): undefined => {
  if (versions.some((version) => isLegacyVersion(version))) return undefined;
  throw unknownVersions(versions);
};

/**
 * Asks a server in the modern way who it is, before anything else is said to it.
 * @param signal - gives up on a server that does not answer: old ones may ignore what they do not know
 * @returns undefined for a legacy server: any other error than a modern one, or silence
 * @throws {PlatformError} `server_unavailable` when it speaks only revisions that are unknown here, or died
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/stdio#backward-compatibility
 */
export const discoverServer = async (multiplexer: Multiplexer, signal: AbortSignal): Promise<DiscoveredServer | undefined> => {
  const request = { jsonrpc: '2.0' as const, id: 'discover', method: 'server/discover', params: { _meta: hostMeta(newestModern) } };
  const answer = await multiplexer.call(request, { scope: hostScope, signal });
  const { code } = objectAt(answer, 'error');
  if (code === rpcErrorCodes.unsupportedVersion) {
    const { supported } = objectAt(answer.error, 'data');
    return legacyOr(z.array(z.string()).catch([]).parse(supported));
  }
  const result = DiscoverResultSchema.safeParse(answer.result);
  if (!result.success) return undefined;
  const { supportedVersions, capabilities } = result.data;
  const protocolVersion = modernVersions.find((version) => supportedVersions.includes(version));
  if (protocolVersion === undefined) return legacyOr(supportedVersions);
  const serverInfo = ServerInfoSchema.safeParse(objectAt(answer.result, '_meta')[metaKeys.serverInfo]);
  return { protocolVersion, capabilities, ...(serverInfo.success && { serverInfo: serverInfo.data }) };
};
