import { type ChangeFeed, type ChangeFeedParts, listsThatTell, takesSubscriptions } from './change-feed.ts';
import { internalRequest } from './internal-request.ts';
import type { StatefulSession } from './session.ts';
import type { StandingStream } from './standing-stream.ts';

const subscribeMs = 10_000;

/** What a legacy server tells on the standing stream of a session, which also holds the subscriptions. */
export const createLegacyFeed = (session: StatefulSession, { capabilities, onUp, onDown }: ChangeFeedParts): ChangeFeed => {
  const lists = listsThatTell(capabilities);
  const canSubscribe = takesSubscriptions(capabilities);
  let subscribed = new Set<string>();
  let wanted: ReadonlySet<string> = new Set();
  let standing: StandingStream | undefined;
  let isClosed = false;

  const stand = async (): Promise<void> => {
    if (isClosed || (lists.length === 0 && wanted.size === 0)) return;
    standing = await session.stand({
      onUp: (isAgain) => {
        onUp(isAgain);
        // a server that was started anew may know the session and not what was subscribed to in it
        if (isAgain) subscribeAnew();
      },
      onDown,
    });
    await standing.first;
  };
  const subscribe = async (uri: string): Promise<void> => {
    const reply = await session.send(internalRequest('resources/subscribe', { uri }, subscribeMs)).catch(() => undefined);
    if (reply?.kind === 'result') subscribed.add(uri);
  };
  const want = async (uris: ReadonlySet<string>): Promise<ReadonlySet<string>> => {
    wanted = uris;
    if (!canSubscribe) return new Set();
    await stand();
    for (const uri of [...subscribed].filter((each) => !uris.has(each))) {
      subscribed.delete(uri);
      void session.send(internalRequest('resources/unsubscribe', { uri }, subscribeMs)).catch(() => undefined);
    }
    if (!standing?.isUp) return new Set();
    await Promise.all([...uris].filter((uri) => !subscribed.has(uri)).map(subscribe));
    return new Set([...uris].filter((uri) => subscribed.has(uri)));
  };
  const subscribeAnew = (): void => {
    subscribed = new Set();
    void want(wanted).catch(() => undefined);
  };
  void stand().catch(() => undefined);

  return {
    tellsOf: (kind) => standing?.isUp === true && lists.includes(kind),
    want: (uris) => want(uris).catch(() => new Set<string>()),
    restart: () => {
      standing = undefined;
      void stand()
        .then(subscribeAnew)
        .catch(() => undefined);
    },
    close: () => {
      isClosed = true;
    },
  };
};
