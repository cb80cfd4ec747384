import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { type RawAnswer, RawConnection } from '../../bench/gateway/raw-connection.ts';

/** Answers each request with the next of the given texts, cut into pieces of `pieceBytes`. */
const withAnswers = async (answers: string[], pieceBytes: number, use: (ask: () => Promise<RawAnswer>) => Promise<void>) => {
  const write = async (socket: Socket, text: string): Promise<void> => {
    for (let at = 0; at < text.length; at += pieceBytes) {
      socket.write(text.slice(at, at + pieceBytes));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('data', () => void write(socket, answers.shift() ?? ''));
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const connection = await RawConnection.open((server.address() as { port: number }).port, () => undefined);
  try {
    await use(() => new Promise((resolve) => connection.send(Buffer.from('GET / HTTP/1.1\r\n\r\n'), resolve)));
  } finally {
    connection.close();
    server.close();
  }
};

const plain = 'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world';
const chunked = 'HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n';
const empty = 'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n';
const without = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';

test.each([1, 3, 7, 1000])('reads answers of known length and in chunks, one after another, in pieces of %i bytes', async (pieceBytes) => {
  await withAnswers([plain, chunked, empty, without, plain], pieceBytes, async (ask) => {
    expect(await ask()).toMatchObject({ status: 200, bodyBytes: 11, bodyStart: 'hello world' });
    expect(await ask()).toMatchObject({ status: 202, bodyStart: expect.stringContaining('hello') });
    expect(await ask()).toMatchObject({ status: 404 });
    expect(await ask()).toMatchObject({ status: 200, bodyBytes: 0 });
    expect(await ask()).toMatchObject({ status: 200, bodyBytes: 11 });
  });
});
