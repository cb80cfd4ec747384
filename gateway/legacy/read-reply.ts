import { isObject, type JsonObject, objectAt, type Reply, rpcCodes } from '../mcp/message.ts';

/** A client's answer to a question; one that makes no sense counts as an error of the client. */
export const readReply = (message: JsonObject): Reply => {
  if (isObject(message.result)) return { kind: 'result', result: message.result };
  const { code, message: text, data } = objectAt(message, 'error');
  if (Number.isSafeInteger(code) && typeof text === 'string')
    return { kind: 'error', error: { code: code as number, message: text, ...(data === undefined ? {} : { data }) } };
  return { kind: 'error', error: { code: rpcCodes.internal, message: 'The client answered with something that is no answer.' } };
};
