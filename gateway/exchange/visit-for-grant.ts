import { randomUUID } from 'node:crypto';
import { isPlatformError, type PlatformError } from '../../schema/errors.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, type JsonObject, objectAt, type Reply, rpcCodes } from '../mcp/message.ts';
import { RpcRefusal } from './error-reply.ts';
import { missingFor } from './missing-capabilities.ts';
import { stateLifetimeMs } from './request-state.ts';

/** Names our own question among those of servers; its answer goes to no server. */
export const grantQuestion = 'quarterdeck.dev/grant';

const mostVisits = 10;

/** What servers asked and clients answered, without our own question. */
export const withoutGrantAnswer = (responses: JsonObject): JsonObject => {
  const { [grantQuestion]: _ours, ...theirs } = responses;
  return theirs;
};

const visitOf = ({ detail, facts }: PlatformError, url: string): JsonObject => ({
  mode: 'url',
  url,
  message: detail,
  elicitationId: `grant-${facts.server}`,
});

/**
 * Where a call lacks a person's grant and its client can send the person to a page, asks it to; all others hear where to go.
 * @returns the next round of a modern client
 * @throws the error itself, or as the URL elicitation of a client of 2025-11-25
 * @see https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation#url-elicitation-required-error
 */
export const visitForGrant = ({ client, params, round }: ClientRequest, error: unknown): Reply => {
  const { consentUrl, server } = isPlatformError(error) && error.code === 'grant_needed' ? error.facts : {};
  if (!isPlatformError(error) || typeof consentUrl !== 'string' || typeof server !== 'string') throw error;
  const visit = visitOf(error, consentUrl);
  const question = { method: 'elicitation/create', params: visit };
  if (missingFor(client.capabilities, question) !== undefined) throw error;
  if (client.era === 'legacy') {
    if (client.protocolVersion < '2025-11-25') throw error;
    throw new RpcRefusal({ code: rpcCodes.urlElicitationRequired, message: error.detail, data: { elicitations: [visit] } });
  }
  const answer = isObject(params.inputResponses) ? params.inputResponses[grantQuestion] : undefined;
  const isDeclined = answer !== undefined && objectAt({ answer }, 'answer').action !== 'accept';
  if (isDeclined || (round?.number ?? 0) >= mostVisits) throw error;
  const { elicitationId: _id, ...modern } = visit;
  return {
    kind: 'result',
    result: {
      resultType: 'input_required',
      inputRequests: { [grantQuestion]: { method: 'elicitation/create', params: modern } },
      round: {
        ...round,
        id: randomUUID(),
        expiresAt: Date.now() + stateLifetimeMs,
        number: (round?.number ?? 0) + 1,
        server,
      },
    },
  };
};
