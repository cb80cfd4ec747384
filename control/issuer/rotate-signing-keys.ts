import type { JWK } from 'jose';
import type { Database } from '../../store/database.ts';
import { readAgain } from '../../store/read-again.ts';
import { deriveContentKeys, isWrappedByOther, seal, unseal } from '../../store/secrets/seal.ts';
import { addSigningKey, forgetPrivateKey, listSigningKeys, replaceSealed, type SigningKeyRow } from '../../store/signing-keys.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { makeSigningKey } from './make-signing-key.ts';

const pollEveryMs = 1000;

/** Private keys of the issuer. The first one signs; the others are published alone, so that what they sign or have signed verifies. */
export type SigningKeys = {
  current(): readonly JWK[];
  onChange(listener: (keys: readonly JWK[]) => void): void;
  close(): Promise<void>;
};

type Rows = Awaited<ReturnType<typeof listSigningKeys>>;

const placeOf = (kid: string): string => `signing-keys/${kid}`;

/**
 * Keeps the keys that the issuer signs with: one signs, the next one is published long before its turn, earlier ones stay published until
 * nothing that they signed is good any more. All replicas read the same rows, so they agree without asking each other.
 * @param options.sealingKey - 32 bytes in base64, which the database does not have
 * @param options.first - the key of an installation whose keys did not rotate yet
 * @throws {PlatformError} `store_unavailable`; `secret_unavailable` when the sealing key is another one
 */
export const rotateSigningKeys = async ({
  database,
  sealingKey,
  first,
  logger,
  pollMs = pollEveryMs,
}: {
  database: Database;
  sealingKey: string;
  first?: JWK | undefined;
  logger: Logger;
  pollMs?: number;
}): Promise<SigningKeys> => {
  const keys = deriveContentKeys(sealingKey, 'signing-keys');
  const opened = new Map<string, JWK>();
  const listeners = new Set<(keys: readonly JWK[]) => void>();
  let current: readonly JWK[] = [];

  const add = async (number: number, signs: 'at-once' | 'in-turn', key: JWK): Promise<void> => {
    const kid = String(key.kid);
    const sealed = seal(keys, Buffer.from(JSON.stringify(key)), placeOf(kid));
    if (await addSigningKey(database, { number, kid, sealed, signs }))
      logger.info({ event: 'signing-key-made', kid, signs }, 'a key was made');
  };

  /** Makes what is missing: a key that signs, and one that comes after it. */
  const complete = async (rows: Rows): Promise<Rows> => {
    const last = rows.at(-1)?.number ?? 0;
    const signs = rows.some(({ state }) => state === 'signing');
    if (signs && rows.some(({ state }) => state === 'next')) return rows;
    await add(last + 1, signs ? 'in-turn' : 'at-once', (last === 0 ? first : undefined) ?? (await makeSigningKey()));
    return complete(await listSigningKeys(database));
  };

  const open = ({ kid, sealed }: SigningKeyRow): JWK[] => {
    const known = opened.get(kid);
    if (known) return [known];
    if (sealed === null) return [];
    const key = JSON.parse(unseal(keys, sealed, placeOf(kid)).toString('utf8')) as JWK;
    opened.set(kid, key);
    return [key];
  };

  const read = async (): Promise<void> => {
    const rows = await complete(await listSigningKeys(database));
    for (const { number, kid, state, sealed } of rows)
      if (state === 'ended' || state === 'denied') {
        opened.delete(kid);
        if (sealed !== null) await forgetPrivateKey(database, number);
      }
    const published = [
      ...rows.filter(({ state }) => state === 'signing'),
      ...rows.filter(({ state }) => state === 'next' || state === 'retired'),
    ];
    const next = published.flatMap(open);
    for (const { number, kid, sealed } of published)
      if (sealed !== null && isWrappedByOther(keys, sealed)) {
        const anew = seal(keys, unseal(keys, sealed, placeOf(kid)), placeOf(kid));
        if (await replaceSealed(database, { number, sealed, anew }))
          logger.info({ event: 'signing-key-rewrapped', kid }, 'a key was sealed anew');
      }
    if (next.map(({ kid }) => kid).join() === current.map(({ kid }) => kid).join()) return;
    if (current.length > 0) logger.info({ event: 'signing-keys-changed', signing: next[0]?.kid, published: next.length }, 'keys changed');
    current = next;
    for (const listener of listeners) listener(next);
  };

  const reader = await readAgain({
    read,
    pollMs,
    onFailure: (error) => logger.warn({ err: error }, 'the signing keys could not be read; the last ones stay'),
  });

  return {
    current: () => current,
    onChange: (listener) => void listeners.add(listener),
    close: reader.close,
  };
};
