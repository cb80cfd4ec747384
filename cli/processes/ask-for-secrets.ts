import type { ServerIdentity } from '../../runtime/egress/reachable-server.ts';
import { PlatformError } from '../../schema/errors.ts';
import { redactor } from '../../telemetry/redactor.ts';
import type { SecretAnswer, SecretRequest } from './messages.ts';

const answerWithinMs = 15_000;
/** A changed secret is in use after so long at the latest. */
const keptMs = 30_000;

/**
 * Asks the supervisor for secrets of servers, and keeps what it was told for a moment. So this process holds those that are in use, and has
 * neither the environment nor the files where all of them are.
 */
export const createSecretAsker = (now: () => number) => {
  const open = new Map<number, (answer: SecretAnswer) => void>();
  const kept = new Map<string, { value: Promise<string>; until: number }>();
  let lastId = 0;
  process.on('message', (message: SecretAnswer) => {
    if (message.type === 'secret') open.get(message.id)?.(message);
  });

  const ask = ({ org, project, server }: ServerIdentity, variable: string): Promise<string> => {
    lastId += 1;
    const id = lastId;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const fail = (detail: string): void => reject(new PlatformError('secret_unavailable', detail));
    const late = setTimeout(() => fail('The supervisor does not answer.'), answerWithinMs);
    open.set(id, ({ value, detail }) => {
      if (value === undefined) fail(detail ?? 'It cannot be read.');
      else {
        redactor.know(value);
        resolve(value);
      }
    });
    const request: SecretRequest = { type: 'secret-wanted', id, org, project, server, variable };
    if (process.send && process.connected) process.send(request);
    else fail('There is no supervisor.');
    return promise.finally(() => {
      clearTimeout(late);
      open.delete(id);
    });
  };

  return (server: ServerIdentity, variable: string): Promise<string> => {
    const key = JSON.stringify([server.org, server.project, server.server, variable]);
    const known = kept.get(key);
    if (known && known.until > now()) return known.value;
    for (const [old, { until }] of kept) if (until <= now()) kept.delete(old);
    const value = ask(server, variable);
    kept.set(key, { value, until: now() + keptMs });
    value.catch(() => kept.delete(key));
    return value;
  };
};
