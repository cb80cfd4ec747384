import { PlatformError } from '../../schema/errors.ts';
import { isLegacyVersion, metaKeys, modernVersions, newestModern } from '../../schema/mcp-revisions.ts';
import { isObject, type JsonObject, objectAt, type Reply, rpcCodes } from '../mcp/message.ts';
import { replyOf } from './flight.ts';
import { ownClientInfo } from './own-client-info.ts';
import { type AnswerEnd, readAnswer } from './read-answer.ts';
import { isModernError, readRefusal } from './refusal.ts';
import type { Greeting } from './session.ts';
import { UpstreamLost } from './upstream-lost.ts';
import { acceptBoth, pathOf, type Wire } from './wire.ts';

/** How a server is spoken to. A legacy one greets when its first session is opened. */
export type FoundEra = { era: 'modern'; greeting: Greeting } | { era: 'legacy' };

/** A legacy server may leave unanswered what it does not know. */
const probeMs = 3000;

type Said = { reply: Reply | undefined; isModernError: boolean };

const discover = (wire: Wire, version: string, timeoutMs: number): Promise<Said> => {
  const { promise, resolve, reject } = Promise.withResolvers<Said>();
  const id = 'discover';
  const params = {
    _meta: { [metaKeys.protocolVersion]: version, [metaKeys.clientInfo]: ownClientInfo, [metaKeys.clientCapabilities]: {} },
  };
  const headers = [...acceptBoth, ...wire.headers, 'mcp-protocol-version', version, 'mcp-method', 'server/discover'];
  const nothing: Said = { reply: undefined, isModernError: false };
  const said = (message: JsonObject): void => {
    const reply = message.method === undefined ? replyOf(message) : undefined;
    if (reply) resolve({ reply, isModernError: reply.kind === 'error' && isModernError({ error: reply.error }) });
  };
  const ended = (end: AnswerEnd): void => {
    clearTimeout(timer);
    // one that hangs up on what it does not know may still greet
    if (end.kind === 'broken' && !answer.wasSent) reject(new UpstreamLost(false, end.cause));
    const refusal = end.kind === 'refused' ? readRefusal({ ...end, id: undefined }) : undefined;
    resolve(refusal?.error ? { reply: { kind: 'error', error: refusal.error }, isModernError: isModernError(refusal) } : nothing);
  };
  const answer = readAnswer(
    wire.sender,
    { method: 'POST', path: pathOf(wire.url), headers, body: JSON.stringify({ jsonrpc: '2.0', id, method: 'server/discover', params }) },
    { onMessage: said, onEnd: ended, isDone: () => true },
  );
  const timer = setTimeout(() => {
    answer.abort();
    resolve(nothing);
  }, timeoutMs);
  return promise;
};

const greetingIn = (wire: Wire, { supportedVersions, capabilities, instructions }: JsonObject): FoundEra => {
  const offered: readonly unknown[] = Array.isArray(supportedVersions) ? supportedVersions : [];
  const protocolVersion = modernVersions.find((version) => offered.includes(version));
  if (protocolVersion === undefined) {
    if (offered.some(isLegacyVersion)) return { era: 'legacy' };
    throw new PlatformError('server_unavailable', `The MCP server ${wire.name} speaks none of the revisions that are known here.`);
  }
  return {
    era: 'modern',
    greeting: {
      protocolVersion,
      capabilities: isObject(capabilities) ? capabilities : {},
      ...(typeof instructions === 'string' ? { instructions } : {}),
    },
  };
};

/**
 * Finds out the era of a server: it is asked in the modern way, and what is no modern answer is a legacy one.
 * @throws {UpstreamLost} when it cannot be reached
 * @throws {PlatformError} `server_unavailable` when it speaks no revision that is known
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#backward-compatibility
 */
export const probeEra = async (wire: Wire, timeoutMs: number): Promise<FoundEra> => {
  const longest = Math.min(probeMs, timeoutMs / 2);
  const first = await discover(wire, newestModern, longest);
  const isModern = ({ reply }: Said) => reply?.kind === 'result' && Array.isArray(reply.result.supportedVersions);
  if (first.reply?.kind === 'result') return isModern(first) ? greetingIn(wire, first.reply.result) : { era: 'legacy' };
  if (!first.isModernError || first.reply?.kind !== 'error') return { era: 'legacy' };

  // a modern server that could not take the request as it was: it says which versions it takes
  const { error } = first.reply;
  const supported = objectAt({ data: error.data }, 'data').supported;
  const offered: readonly unknown[] = Array.isArray(supported) ? supported : [];
  const common = modernVersions.find((version) => offered.includes(version));
  if (error.code === rpcCodes.unsupportedVersion && common === undefined) return greetingIn(wire, { supportedVersions: offered });
  const version = common ?? newestModern;
  const second = await discover(wire, version, longest);
  if (second.reply?.kind === 'result') return greetingIn(wire, { supportedVersions: [version], ...second.reply.result });
  return { era: 'modern', greeting: { protocolVersion: version, capabilities: {} } };
};
