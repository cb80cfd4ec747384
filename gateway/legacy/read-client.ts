import { PlatformError } from '../../schema/errors.ts';
import { isLegacyVersion, newestLegacy } from '../../schema/mcp-revisions.ts';
import type { ClientFacts } from '../mcp/client-request.ts';
import { isObject, type JsonObject, objectAt } from '../mcp/message.ts';

/** What is known of a client that has not said anything of itself. */
export const unknownClient = (protocolVersion: string): ClientFacts => ({ era: 'legacy', protocolVersion, capabilities: {} });

/**
 * What a client says of itself in `initialize`, with the revision that both go on with: its own where we know it, else our newest one
 * that begins this way.
 * @throws {PlatformError} `request_invalid`
 * @see https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle#version-negotiation
 */
export const readClient = (params: JsonObject, longest: number): ClientFacts => {
  const { protocolVersion, capabilities = {} } = params;
  if (typeof protocolVersion !== 'string') throw new PlatformError('request_invalid', '`protocolVersion` is missing.');
  if (!isObject(capabilities)) throw new PlatformError('request_invalid', '`capabilities` is not an object.');
  const { name, version } = objectAt(params, 'clientInfo');
  const client: ClientFacts = {
    era: 'legacy',
    protocolVersion: isLegacyVersion(protocolVersion) ? protocolVersion : newestLegacy,
    ...(typeof name === 'string' && typeof version === 'string' ? { info: { name, version } } : {}),
    capabilities,
  };
  if (JSON.stringify(client).length > longest)
    throw new PlatformError('request_invalid', `The client says more of itself than ${longest} characters.`);
  return client;
};
