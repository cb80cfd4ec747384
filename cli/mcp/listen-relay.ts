import { isObject, type JsonObject, objectAt } from '../../gateway/mcp/message.ts';
import { metaKeys } from '../../schema/mcp-revisions.ts';
import type { Deliver, ModernRelay } from './modern-relay.ts';
import { pause, whileAway } from './patience.ts';
import type { RequestLine } from './rpc-line.ts';

/** How long after the end of a stream it is asked for again. */
const againMs = 300;

const acknowledged = 'notifications/subscriptions/acknowledged';

/** What the client may have missed while there was no stream: every list it listens to, and every resource. */
const missedOf = (accepted: JsonObject, meta: JsonObject): string[] => {
  const lists = ['tools', 'prompts', 'resources'].filter((list) => accepted[`${list}ListChanged`] === true);
  const uris = Array.isArray(accepted.resourceSubscriptions) ? accepted.resourceSubscriptions : [];
  const notifications = [
    ...lists.map((list) => ({ method: `notifications/${list}/list_changed`, params: { _meta: meta } })),
    ...uris.map((uri) => ({ method: 'notifications/resources/updated', params: { _meta: meta, uri } })),
  ];
  return notifications.map((notification) => JSON.stringify({ jsonrpc: '2.0', ...notification }));
};

/**
 * Keeps a `subscriptions/listen` of a client standing for as long as the client wants it: its process at the other end of the pipe cannot
 * see that the gateway was restarted, so the stream is opened again, and what may have been missed is told as changed.
 */
export const listenFor = async (relay: ModernRelay, deliver: Deliver, line: RequestLine, signal: AbortSignal): Promise<void> => {
  let hasBegun = false;
  let ending: string | undefined;
  const onMessage: Deliver = async (text) => {
    const message = JSON.parse(text) as JsonObject;
    if (message.method !== acknowledged || !hasBegun) {
      hasBegun ||= message.method === acknowledged;
      return deliver(text);
    }
    const params = objectAt(message, 'params');
    const meta = { [metaKeys.subscriptionId]: objectAt(params, '_meta')[metaKeys.subscriptionId] ?? line.id };
    for (const missed of missedOf(objectAt(params, 'notifications'), meta)) await deliver(missed);
  };
  while (!signal.aborted) {
    const options = { signal, longestMs: hasBegun ? Number.POSITIVE_INFINITY : 60_000 };
    const reply = await whileAway(() => relay.ask(line, '', signal, onMessage), options);
    if (signal.aborted) return;
    // refused from the beginning, or no more to be had: what ended the stream is the answer
    if (!hasBegun || isObject((JSON.parse(reply) as JsonObject).error)) return deliver(ending ?? reply);
    ending = reply;
    await pause(againMs, signal);
  }
};

export const isListen = ({ method }: { method: string }): boolean => method === 'subscriptions/listen';
