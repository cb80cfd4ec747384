import type { Provider } from 'oidc-provider';
import type { SourceOf } from '../../policy/source-of-request.ts';
import type { GiveBackRate, TakeRate } from '../../store/rate-windows.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { EntryRecords } from './entry-records.ts';
import type { Middleware } from './middleware.ts';
import { messagePage, pageHeaders } from './pages.ts';
import { splitAccount } from './split-account.ts';

/** Wrong codes that are answered in a window. A source may be a proxy with many people behind it, so it has more than one person. */
export const codeGuesses = { windowSeconds: 600, perSource: 30, perPerson: 10 } as const;

type Parts = {
  provider: Provider;
  take: TakeRate;
  giveBack: GiveBackRate;
  records: EntryRecords | undefined;
  sourceOf: SourceOf;
  logger: Logger;
};

/**
 * Limits how often a source or a person may enter a code of a device that is none (RFC 8628 §5.1): who guesses one lets a stranger's
 * device in as themselves, or learns who asks. Each answer is reserved before the library looks, so that many at once get no more than
 * one after the other, and is given back where the code was no wrong guess. It is counted in the database, so replicas share it; where
 * that cannot be asked, no code is looked up.
 * A reservation that is given back just after its window ended comes off the next one: at most as many as were under way.
 */
export const limitCodeGuesses =
  ({ provider, take, giveBack, records, sourceOf, logger }: Parts): Middleware =>
  async (context, next) => {
    if (context.method !== 'POST' || context.path !== '/device') return next();
    const { windowSeconds, perSource, perPerson } = codeGuesses;
    const source = sourceOf(context.req.socket.remoteAddress, context.req.headers);
    const { accountId } = await provider.Session.get(context as Parameters<typeof provider.Session.get>[0]);
    const wanted = [
      { key: `code-guess source ${source}`, limit: perSource },
      ...(accountId === undefined ? [] : [{ key: `code-guess person ${accountId}`, limit: perPerson }]),
    ];

    const reserved: string[] = [];
    let waitMs: number | undefined;
    for (const { key, limit } of wanted) {
      const { granted, windowLeftMs } = await take({ key, windowSeconds, slice: 1, limit });
      if (granted > 0) reserved.push(key);
      else waitMs = Math.max(waitMs ?? 0, windowLeftMs);
    }
    const giveAllBack = () => Promise.all(reserved.map((key) => giveBack({ key, windowSeconds })));

    if (waitMs === undefined) {
      await next();
      if (context.state.isWrongGuess !== true) await giveAllBack();
      return;
    }
    await giveAllBack();
    const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000));
    logger.warn({ event: 'code-guesses-exhausted', source, accountId }, 'too many wrong codes of devices');
    const person = accountId === undefined ? undefined : splitAccount(accountId);
    if (person) {
      await records?.refuse(
        { action: 'logIn', org: person.org, person: person.id, facts: { by: 'device', source: source ?? '' } },
        'rate_exhausted',
      );
    } else records?.count(context.req, 'rate_exhausted');
    const text = `Too many codes were wrong. Wait ${Math.ceil(retryAfterSeconds / 60)} minutes, then enter the code that the device shows.`;
    context.status = 429;
    context.set('retry-after', String(retryAfterSeconds));
    if (context.accepts('json', 'html') === 'html') {
      context.set(pageHeaders());
      context.body = messagePage('Too many wrong codes', text);
    } else context.body = { error: 'slow_down', error_description: text };
  };
