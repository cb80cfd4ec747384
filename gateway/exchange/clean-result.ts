import type { Era } from '../../schema/mcp-revisions.ts';
import { isObject, type JsonObject, type Reply, rpcCodes } from '../mcp/message.ts';
import { withoutHopMeta } from './translate-question.ts';

/** What a legacy server says of a resource that it has not; the modern era has no code of its own for it. */
const legacyResourceNotFound = -32002;

const ownMeta = ({ _meta }: JsonObject): boolean =>
  isObject(_meta) && Object.keys(_meta).some((name) => name.startsWith('io.modelcontextprotocol/'));

const forLegacy = ({ resultType: _type, ttlMs: _ttl, cacheScope: _scope, ...result }: JsonObject): JsonObject => {
  const { structuredContent, ...rest } = withoutHopMeta(result);
  // an object is all that the older revisions know
  return structuredContent === undefined || !isObject(structuredContent) ? rest : { ...rest, structuredContent };
};

/** A server's answer as it may stand before a client: without what belongs to the hop behind it, and in the client's era. */
export const cleanReply = (reply: Reply, era: Era): Reply => {
  if (reply.kind === 'result') {
    const { result } = reply;
    if (era === 'legacy') return { kind: 'result', result: forLegacy(result) };
    return ownMeta(result) ? { kind: 'result', result: withoutHopMeta(result) } : reply;
  }
  const { code, message, data } = reply.error;
  if (era === 'modern' && code === legacyResourceNotFound)
    return { kind: 'error', error: { ...reply.error, code: rpcCodes.invalidParams } };
  // between the gateway and the server, not between the client and the gateway
  if (code === rpcCodes.headerMismatch || code === rpcCodes.unsupportedVersion)
    return { kind: 'error', error: { code: rpcCodes.internal, message: `The server refused the gateway's request: ${message}`, data } };
  return reply;
};
