import { metaKeys } from '../../schema/mcp-revisions.ts';
import { type JsonObject, objectAt, rpcCodes } from '../mcp/message.ts';
import { type ChangeFeed, type ChangeFeedParts, listsThatTell, takesSubscriptions } from './change-feed.ts';
import { replyOf } from './flight.ts';
import { nextRequestId } from './next-request-id.ts';
import { ownClientInfo } from './own-client-info.ts';
import { type Answer, readAnswer } from './read-answer.ts';
import type { Greeting } from './session.ts';
import { createStandingStream, type StandingStream, type StreamHooks } from './standing-stream.ts';
import { acceptBoth, pathOf, type Wire } from './wire.ts';

const acknowledged = 'notifications/subscriptions/acknowledged';
const method = 'subscriptions/listen';
/** How long a server may take to acknowledge a subscription. */
const acknowledgeMs = 10_000;

/** A stream with one filter, and what the server took of it. */
type Subscription = { stream: StandingStream; taken: { uris: ReadonlySet<string> } };

const stringsIn = (value: unknown): Set<string> =>
  new Set(Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : []);

/**
 * What a modern server tells on a stream of `subscriptions/listen`. A stream cannot be changed: another filter takes another stream, which
 * stands before the old one goes, so that nothing is missed.
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/subscriptions
 */
export const createModernFeed = (wire: Wire, { protocolVersion }: Greeting, parts: ChangeFeedParts): ChangeFeed => {
  const { capabilities, onNotification, onUp, onDown } = parts;
  const lists = listsThatTell(capabilities);
  const meta = {
    [metaKeys.protocolVersion]: protocolVersion,
    [metaKeys.clientInfo]: ownClientInfo,
    [metaKeys.clientCapabilities]: {},
  };
  const headers = [...acceptBoth, ...wire.headers, 'mcp-protocol-version', protocolVersion, 'mcp-method', method];
  let current: Subscription | undefined;
  let wanted: ReadonlySet<string> = new Set();
  let isClosed = false;

  const bodyOf = (uris: ReadonlySet<string>): string => {
    const flags = Object.fromEntries(lists.map((kind) => [`${kind}ListChanged`, true]));
    const notifications = { ...flags, ...(uris.size > 0 ? { resourceSubscriptions: [...uris] } : {}) };
    return JSON.stringify({ jsonrpc: '2.0', id: nextRequestId(), method, params: { notifications, _meta: meta } });
  };

  const open = (uris: ReadonlySet<string>, taken: Subscription['taken'], { up, ended }: StreamHooks): Answer => {
    let isRefused = false;
    const onMessage = (message: JsonObject): void => {
      const params = objectAt(message, 'params');
      if (message.method === acknowledged) {
        taken.uris = stringsIn(objectAt(params, 'notifications').resourceSubscriptions);
        up();
      } else if (typeof message.method === 'string') {
        const { _meta: _subscription, ...rest } = params;
        onNotification({ method: message.method, params: rest });
      } else {
        const reply = replyOf(message);
        isRefused = reply?.kind === 'error' && [rpcCodes.methodNotFound, rpcCodes.invalidParams].includes(reply.error.code as never);
      }
    };
    return readAnswer(
      wire.sender,
      { method: 'POST', path: pathOf(wire.url), headers, body: bodyOf(uris), isStanding: true },
      { onMessage, onEnd: (end) => ended(isRefused || (end.kind === 'refused' && end.status < 500) ? 'none' : 'again') },
    );
  };

  const begin = (uris: ReadonlySet<string>): Subscription => {
    const taken: Subscription['taken'] = { uris: new Set() };
    const stream = createStandingStream({
      open: (hooks) => open(uris, taken, hooks),
      onUp,
      onDown: () => {
        if (current?.stream === stream) onDown();
      },
    });
    return { stream, taken };
  };

  const replace = async (): Promise<void> => {
    const old = current;
    const isNeeded = !isClosed && (lists.length > 0 || wanted.size > 0);
    const next = isNeeded ? begin(wanted) : undefined;
    current = next;
    const late = new Promise<boolean>((resolve) => setTimeout(resolve, acknowledgeMs, false).unref());
    const stands = !next || (await Promise.race([next.stream.first, late]));
    if (stands || !old?.stream.isUp || current !== next) return old?.stream.close();
    // the old one still tells of the lists
    next.stream.close();
    current = old;
  };
  void replace();

  return {
    tellsOf: (kind) => current?.stream.isUp === true && lists.includes(kind),
    want: async (uris) => {
      if (!takesSubscriptions(capabilities)) return new Set();
      wanted = uris;
      await replace();
      return new Set([...uris].filter((uri) => current?.taken.uris.has(uri)));
    },
    restart: () => void replace(),
    close: () => {
      isClosed = true;
      current?.stream.close();
    },
  };
};
