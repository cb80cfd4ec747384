import { setTimeout as delay } from 'node:timers/promises';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { JsonObject, Question, Reply, RpcError } from '../mcp/message.ts';
import { rpcCodes } from '../mcp/message.ts';
import { askClient } from './ask-client.ts';
import { RpcRefusal } from './error-reply.ts';
import { isInputRequired } from './input-required.ts';
import { visitForGrant } from './visit-for-grant.ts';

export type Work = (request: ClientRequest) => Promise<Reply>;

/** A server that is still not content after so many rounds never will be. */
export const maxRounds = 10;
/** A server that needs no input, only to be asked again, is asked after so long, times the round. */
const againMs = 250;

const answerTo = async (request: ClientRequest, question: Question): Promise<JsonObject> => {
  const reply = await askClient(request, question, request.signal);
  // a round has no place for errors: what the client refuses, the server does not get
  if (reply.kind === 'error') throw new RpcRefusal(reply.error);
  return reply.result;
};

const answersTo = async (request: ClientRequest, questions: Record<string, Question>): Promise<JsonObject> => {
  const answered = Object.entries(questions).map(async ([key, question]) => [key, await answerTo(request, question)] as const);
  return Object.fromEntries(await Promise.all(answered));
};

const tooMany: RpcError = {
  code: rpcCodes.internal,
  message: `The server asks for input again and again; the request was given up after ${maxRounds} rounds.`,
};

/**
 * Makes a request at a server, and again with what its client answers, until the server needs no more input.
 * @param handsOver - whether, at this moment, the client is to make the next round itself
 * @throws {PlatformError} `client_unreachable`, and what `work` throws
 */
export const inRounds = async (request: ClientRequest, work: Work, handsOver: () => boolean): Promise<Reply> => {
  let current = request;
  for (let made = 1; ; made += 1) {
    let reply: Reply;
    try {
      reply = await work(current);
    } catch (error) {
      reply = visitForGrant(current, error);
    }
    if (reply.kind === 'error' || !isInputRequired(reply.result) || handsOver()) return reply;
    if (made > maxRounds) return { kind: 'error', error: tooMany };
    const { inputRequests, round } = reply.result;
    if (Object.keys(inputRequests).length === 0) await delay(againMs * made, undefined, { signal: request.signal });
    const inputResponses = await answersTo(request, inputRequests);
    current = { ...request, params: { ...request.params, inputResponses }, round };
  }
};
