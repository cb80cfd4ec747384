import { PlatformError } from '../../schema/errors.ts';
import { isLegacyVersion, legacyVersions, newestLegacy } from '../../schema/mcp-revisions.ts';
import type { ClientFacts } from '../mcp/client-request.ts';
import { isObject, type JsonObject, objectAt, type Reply } from '../mcp/message.ts';
import { ownClientInfo } from './own-client-info.ts';
import type { Greeting } from './session.ts';

/** The part of a client's capabilities that a legacy server can make use of: what it may ask for in the middle of a request. */
export const askableCapabilities = (capabilities: JsonObject): JsonObject => {
  const picked: JsonObject = {};
  for (const name of ['elicitation', 'roots', 'sampling']) if (isObject(capabilities[name])) picked[name] = capabilities[name];
  return picked;
};

export const initializeParams = (
  { info, capabilities }: Pick<ClientFacts, 'info' | 'capabilities'>,
  protocolVersion: string = newestLegacy,
) => ({
  protocolVersion,
  capabilities,
  clientInfo: info ?? ownClientInfo,
});

/** The newest version that a server names in its refusal and that is known here, if it is another than was asked for. */
export const otherVersionIn = (reply: Reply): string | undefined => {
  const supported = reply.kind === 'error' && isObject(reply.error.data) ? reply.error.data.supported : undefined;
  if (!Array.isArray(supported)) return undefined;
  return legacyVersions.find((version) => version !== newestLegacy && supported.includes(version));
};

/** @throws {PlatformError} `server_unavailable` when the server does not greet, or in a revision that is not known */
export const greetingOf = (name: string, reply: Reply): Greeting => {
  const unavailable = (what: string) => new PlatformError('server_unavailable', `The MCP server ${name} ${what}`);
  if (reply.kind === 'error') throw unavailable(`refuses its first request: ${reply.error.message.slice(0, 300)}`);
  const { protocolVersion, instructions } = reply.result;
  if (typeof protocolVersion !== 'string') throw unavailable('answers its first request with something else than MCP.');
  if (!isLegacyVersion(protocolVersion))
    throw unavailable(`speaks MCP ${protocolVersion.slice(0, 40)}, and none of the revisions that are known here.`);
  return {
    protocolVersion,
    capabilities: objectAt(reply.result, 'capabilities'),
    ...(typeof instructions === 'string' ? { instructions } : {}),
  };
};
