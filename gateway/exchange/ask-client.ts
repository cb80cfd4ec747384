import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { type Question, type Reply, rpcCodes } from '../mcp/message.ts';
import { rpcErrorOf } from './error-reply.ts';
import { missingFor } from './missing-capabilities.ts';
import { translateQuestion, withoutHopMeta } from './translate-question.ts';

type Asked = Pick<ClientRequest, 'client' | 'ask' | 'session'>;

/**
 * Puts a server's question to the client, in the words of the client's revision.
 * @returns the client's answer, which may be an error
 * @throws {PlatformError} `client_unreachable` when nobody can be asked
 */
export const askClient = async ({ client, ask, session }: Asked, question: Question, signal: AbortSignal): Promise<Reply> => {
  const put = ask ?? session?.ask;
  if (!put)
    throw new PlatformError(
      'client_unreachable',
      `The server asks for ${question.method}, and the client has no stream open to be asked on.`,
    );
  const reply = await put(translateQuestion(client.protocolVersion, question), signal);
  return reply.kind === 'result' ? { kind: 'result', result: withoutHopMeta(reply.result) } : reply;
};

/** Answers what a legacy server asks in the middle of a request: by the client, or by saying why not. */
export const answerServer = async (request: Asked, question: Question, signal: AbortSignal): Promise<Reply> => {
  if (missingFor(request.client.capabilities, question) !== undefined)
    return { kind: 'error', error: { code: rpcCodes.methodNotFound, message: `The client takes no ${question.method} like this one.` } };
  try {
    return await askClient(request, question, signal);
  } catch (error) {
    if (isPlatformError(error)) return { kind: 'error', error: rpcErrorOf(error) };
    throw error;
  }
};
