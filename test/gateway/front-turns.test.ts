import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readBody } from '../../gateway/edge/read-body.ts';
import type { ShortRequest } from '../../gateway/front/http-exchange.ts';
import type { ShortAnswer } from '../../gateway/front/short-answer.ts';
import { ShortConnection } from '../../gateway/front/short-connection.ts';

const short = (said: string): string => `POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: ${said.length}\r\n\r\n${said}`;

/** A connection whose client says what the test says, when it says it. */
const start = async () => {
  const state = { written: '', isReading: true };
  const socket = new Duplex({
    read: () => undefined,
    write: (piece, _encoding, done) => {
      state.written += piece;
      if (state.isReading) done();
    },
  });
  const destroySoon = (): void => void socket.end(() => socket.destroy());
  const exchanges: { request: ShortRequest; answer: ShortAnswer }[] = [];
  const others: string[] = [];
  const connection = new ShortConnection(Object.assign(socket, { destroySoon }) as unknown as Socket, {
    onRequest: (request, answer) => void exchanges.push({ request, answer }),
    onOther: (_socket, bytes) => void others.push(String(bytes)),
    onGone: () => undefined,
    timeouts: { headersMs: 20_000, requestMs: 120_000 },
  });
  // it flows from the next turn on
  await turn();
  return {
    state,
    socket,
    connection,
    exchanges,
    others,
    say: (text: string): void => void socket.push(text),
    bodies: (): string[] => exchanges.map(({ request }) => String(request.body)),
  };
};

test('a connection on which a request waits for its turn is not idle', async () => {
  const { say, exchanges, connection, bodies } = await start();
  say(short('first'));
  say(short('second'));
  exchanges[0]?.answer.end('done');
  expect(connection.isIdle).toBe(false);
  await turn();
  exchanges[1]?.answer.end('done');
  expect({ isIdle: connection.isIdle, bodies: bodies() }).toEqual({ isIdle: true, bodies: ['first', 'second'] });
});

test('what comes between an answer and the next turn does not overtake what came before it', async () => {
  const { say, exchanges, others, bodies } = await start();
  say(short('first'));
  say(short('second').slice(0, -3));
  exchanges[0]?.answer.end('done');
  say('ond');
  await turn();
  await turn();
  expect({ bodies: bodies(), others }).toEqual({ bodies: ['first', 'second'], others: [] });
});

test('nothing is served any more once the client was told that the connection is closed', async () => {
  const { say, exchanges, others, state, socket, bodies } = await start();
  // its end cannot leave while nobody reads
  state.isReading = false;
  say(short('first'));
  say(short('ahead'));
  const { answer } = exchanges[0] ?? {};
  if (answer) answer.shouldKeepAlive = false;
  answer?.end('done');
  say(short('late'));
  say('GET / HTTP/1.1\r\n\r\n');
  socket.emit('drain');
  await turn();
  expect({ bodies: bodies(), others }).toEqual({ bodies: ['first'], others: [] });
  expect(state.written).toContain('connection: close');
});

test('the rest of a request is not served after the client was told that it comes too late', async () => {
  const { say, connection, state, bodies } = await start();
  state.isReading = false;
  say(short('first').slice(0, -1));
  connection.endIfLate(performance.now() + 121_000);
  say('t');
  await turn();
  expect({ bodies: bodies(), written: state.written }).toEqual({ bodies: [], written: expect.stringMatching(/^HTTP\/1\.1 408 /) });
});

test('an answer that was given can end the connection of the next one no more', async () => {
  const { say, exchanges, socket } = await start();
  say(short('first'));
  exchanges[0]?.answer.end('done');
  say(short('second'));
  exchanges[0]?.answer.destroy();
  expect(socket.destroyed).toBe(false);
  exchanges[1]?.answer.destroy();
  expect(socket.destroyed).toBe(true);
});

test('a request that is kept after its body was read does not keep the body', () => {
  const request: ShortRequest = { method: 'POST', url: '/mcp', headers: {}, body: Buffer.from('said'), remoteAddress: undefined };
  expect(readBody(request)).toEqual({ kind: 'body', bytes: Buffer.from('said') });
  expect(request.body.length).toBe(0);
});
