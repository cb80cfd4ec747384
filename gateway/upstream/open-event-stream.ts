import { PlatformError } from '../../schema/errors.ts';
import type { JsonObject } from '../mcp/message.ts';
import { type Answer, type AnswerEnd, readAnswer } from './read-answer.ts';
import { describeRefusal, readRefusal } from './refusal.ts';
import { acceptEvents, pathOf, type Wire } from './wire.ts';

/** The stream of a session, and where its requests are posted. */
export type EventStream = { endpoint: string; close(): void };

const describeEnd = (end: AnswerEnd): string => {
  if (end.kind === 'refused') return describeRefusal(readRefusal({ ...end, id: undefined }));
  return end.kind === 'broken' ? `gives no stream of events: ${end.cause.message}` : 'gives no stream of events';
};

/**
 * Opens the one stream of the HTTP+SSE transport and waits for its first event, which says where to post.
 * @param onEnd - the stream ended after it stood, and with it the session
 * @throws {PlatformError} `server_unavailable`, also when the server would have its requests sent to another origin
 * @see https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse
 */
export const openEventStream = ({
  wire,
  timeoutMs,
  onMessage,
  onEnd,
}: {
  wire: Wire;
  timeoutMs: number;
  onMessage: (message: JsonObject) => void | Promise<void>;
  onEnd: () => void;
}): Promise<EventStream> => {
  const { promise, resolve, reject } = Promise.withResolvers<EventStream>();
  let stands = false;
  const fail = (what: string): void => {
    clearTimeout(timer);
    answer.abort();
    reject(new PlatformError('server_unavailable', `The MCP server ${wire.name} ${what}`));
  };
  const timer = setTimeout(() => fail('does not say where to post requests.'), timeoutMs);

  const begin = (uri: string): void => {
    if (stands) return;
    const endpoint = URL.parse(uri, wire.url.href);
    // a stream that could send us elsewhere could have our requests, and what is in them, sent to anybody
    if (endpoint?.origin !== wire.url.origin) {
      fail('wants its requests sent to another origin.');
      return;
    }
    clearTimeout(timer);
    stands = true;
    resolve({ endpoint: pathOf(endpoint), close: () => answer.abort() });
  };

  const answer: Answer = readAnswer(
    wire.sender,
    { method: 'GET', path: pathOf(wire.url), headers: [...acceptEvents, ...wire.headers], isStanding: true },
    {
      onStart: (status, headers) =>
        status < 300 && !String(headers['content-type']).startsWith('text/event-stream')
          ? { kind: 'refused', status, headers, body: '' }
          : undefined,
      onMessage,
      onEvent: ({ type, data }) => {
        if (type === 'endpoint') begin(data);
      },
      onEnd: (end) => (stands ? onEnd() : fail(`${describeEnd(end)}.`)),
    },
  );
  return promise;
};
