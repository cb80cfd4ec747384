import { PlatformError } from '../../schema/errors.ts';
import { metaKeys } from '../../schema/mcp-revisions.ts';
import { type JsonRpcMessage, type JsonRpcNotification, type JsonRpcRequest, objectAt, rpcError, rpcErrorCodes } from './json-rpc.ts';
import { isListen, type PendingRequests } from './pending-requests.ts';

/** The message under the caller's own subscription id, which is the id of its request. */
const ofSubscription = <Message extends JsonRpcMessage>(message: Message, part: 'params' | 'result', { id }: JsonRpcRequest): Message => ({
  ...message,
  [part]: { ...(message[part] as object), _meta: { ...objectAt(message[part], '_meta'), [metaKeys.subscriptionId]: id } },
});

export type Receivers = {
  pending: PendingRequests;
  send: (message: JsonRpcMessage) => void;
  onRequest?: (message: JsonRpcRequest) => void;
  onNotification?: (message: JsonRpcNotification) => void;
};

/** Takes what a server wrote to whom it belongs: by id, by progress token, by subscription, and else to `onRequest` and `onNotification`. */
export const createReceiver = ({ pending, send, onRequest, onNotification }: Receivers): ((message: JsonRpcMessage) => void) => {
  const receiveAnswer = (message: JsonRpcMessage): void => {
    if (typeof message.id !== 'number') return;
    const entry = pending.get(message.id);
    const isOfListen = entry !== undefined && isListen(entry) && message.result !== undefined;
    const answer = isOfListen ? ofSubscription(message, 'result', entry.request) : message;
    // Without an entry: cancelled meanwhile, or made up.
    pending.settle(message.id, entry === undefined ? '' : JSON.stringify({ ...answer, id: entry.request.id }));
  };

  const receiveRequest = (message: JsonRpcRequest): void => {
    if (message.method === 'ping') send({ jsonrpc: '2.0', id: message.id, result: {} });
    else if (onRequest) onRequest(message);
    else send(rpcError(message.id, rpcErrorCodes.methodNotFound, 'Method not found'));
  };

  const receiveNotification = (message: JsonRpcNotification): void => {
    const params = message.params as Record<string, unknown> | undefined;
    if (message.method === 'notifications/progress') {
      const entry = pending.get(Number(params?.progressToken));
      const { progressToken } = objectAt(entry?.request.params, '_meta');
      if (progressToken !== undefined) entry?.hear?.({ ...message, params: { ...params, progressToken } });
      return;
    }
    const subscriptionId = objectAt(params, '_meta')[metaKeys.subscriptionId];
    if (subscriptionId !== undefined) {
      const entry = pending.get(Number(subscriptionId));
      if (entry && isListen(entry)) entry.hear?.(ofSubscription(message, 'params', entry.request));
      return;
    }
    const takenBack = message.method === 'notifications/cancelled' ? pending.get(Number(params?.requestId)) : undefined;
    // Of ours a server takes back subscriptions alone; an id of its own requests may be equal to any other of ours.
    if (takenBack && isListen(takenBack)) {
      const ended = new PlatformError('server_unavailable', 'The server ended the subscription.', { facts: { sent: true } });
      pending.settle(Number(params?.requestId), ended);
    } else onNotification?.(message);
  };

  return (message) => {
    if (message.method === undefined) receiveAnswer(message);
    else if (message.id !== undefined && message.id !== null) receiveRequest(message as JsonRpcRequest);
    else receiveNotification(message as JsonRpcNotification);
  };
};
