import type { ClientRequest, Round } from '../mcp/client-request.ts';
import { isObject, type JsonObject, objectAt, type Question, type Reply, rpcCodes } from '../mcp/message.ts';
import { RpcRefusal } from './error-reply.ts';
import { missingCapability, missingFor } from './missing-capabilities.ts';
import { translateQuestion } from './translate-question.ts';

/** A server's answer that it needs input first, as it is inside the gateway. */
export type InputRequired = { resultType: 'input_required'; inputRequests: Record<string, Question>; round: Round };

export const isInputRequired = (result: JsonObject): result is InputRequired =>
  result.resultType === 'input_required' && isObject(result.round);

const questionOf = (value: unknown): Question | undefined =>
  isObject(value) && typeof value.method === 'string' ? { method: value.method, params: objectAt(value, 'params') } : undefined;

/**
 * What a server asks, in the words of the client's revision.
 * @throws {RpcRefusal} where the client has not declared that it can be asked so
 */
export const questionsFor = ({ client }: ClientRequest, inputRequests: JsonObject): Record<string, Question> => {
  const questions: Record<string, Question> = {};
  for (const [key, value] of Object.entries(inputRequests)) {
    const question = questionOf(value);
    if (!question) throw new RpcRefusal({ code: rpcCodes.internal, message: 'The server asks for input in a way that is no question.' });
    const missing = missingFor(client.capabilities, question);
    if (missing) throw new RpcRefusal(missingCapability(missing));
    questions[key] = translateQuestion(client.protocolVersion, question);
  }
  return questions;
};

/** The answer of a server that needs input before it goes on; an error where the client cannot be asked for it. */
export const inputRequired = (request: ClientRequest, { inputRequests }: JsonObject, round: Round): Reply => {
  try {
    const questions = questionsFor(request, isObject(inputRequests) ? inputRequests : {});
    const result: InputRequired = { resultType: 'input_required', inputRequests: questions, round };
    return { kind: 'result', result };
  } catch (error) {
    if (error instanceof RpcRefusal) return { kind: 'error', error: error.error };
    throw error;
  }
};

/**
 * The visits that a legacy server wants made before it is asked again, as questions for a client that knows no such error.
 * @see https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation#url-elicitation-required-error
 */
export const urlsRequired = ({ client }: ClientRequest, reply: Reply): JsonObject | undefined => {
  if (client.era !== 'modern' || reply.kind !== 'error' || reply.error.code !== rpcCodes.urlElicitationRequired) return undefined;
  const { elicitations } = isObject(reply.error.data) ? reply.error.data : {};
  if (!Array.isArray(elicitations) || elicitations.length === 0) return undefined;
  return Object.fromEntries(elicitations.map((params, index) => [`visit-${index + 1}`, { method: 'elicitation/create', params }]));
};
