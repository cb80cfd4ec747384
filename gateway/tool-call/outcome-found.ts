import { isObject, type Reply } from '../mcp/message.ts';

/** An operation's outcome as it was stored; earlier releases wrote the server's errors in another form. */
export const outcomeFound = (outcome: unknown): Reply => {
  if (!isObject(outcome) || outcome.kind !== 'rpc-error') return outcome as Reply;
  return { kind: 'error', error: { code: Number(outcome.code), message: String(outcome.message) } };
};
