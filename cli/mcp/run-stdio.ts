import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { readLines } from '../../runtime/stdio/read-lines.ts';
import { createGatewayHttp, type GatewayAddress } from './gateway-http.ts';
import { createStdioBridge } from './stdio-bridge.ts';

/** The gateway takes no larger request. */
const mostLineBytes = 4 * 1024 * 1024;

/**
 * Bridges this process's stdin and stdout to an endpoint of the gateway, until the client closes stdin, reads no more, or a signal comes.
 * Nothing but messages goes to stdout.
 * @param log - writes for people, to stderr
 */
export const runStdio = async (
  findAddress: (refusedToken?: string) => GatewayAddress | Promise<GatewayAddress>,
  log: (text: string) => void,
): Promise<void> => {
  const { stdin, stdout } = process;
  let isGone = false;
  let last: Promise<unknown> = Promise.resolve();
  const deliver = (text: string): Promise<void> => {
    const written = last.then(async () => {
      if (isGone || stdout.write(`${text}\n`)) return;
      // a client that reads slowly slows the gateway's stream, and fills no memory here
      await Promise.race([once(stdout, 'drain'), once(stdout, 'close')]).catch(() => undefined);
    });
    last = written;
    return written;
  };
  const bridge = createStdioBridge({ http: createGatewayHttp(findAddress), deliver, log });
  const ended = new Promise<{ isAbrupt: boolean }>((resolve) => {
    stdin.once('end', () => resolve({ isAbrupt: false })).once('error', () => resolve({ isAbrupt: true }));
    stdout.removeAllListeners('error').on('error', () => {
      isGone = true;
      resolve({ isAbrupt: true });
    });
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve({ isAbrupt: true }));
  });
  readLines(stdin, mostLineBytes, {
    onLine: bridge.receive,
    onOversize: () => bridge.refuse(`A message may have at most ${mostLineBytes} bytes.`),
  });
  await bridge.close(await ended);
  // who reads no more is not waited for
  await Promise.race([last, delay(500, undefined, { ref: false })]);
  stdin.destroy();
};
