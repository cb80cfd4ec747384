import { setTimeout as sleep } from 'node:timers/promises';
import { isPlatformError } from '../../schema/errors.ts';
import { formatRootKey, parseRootKey, type RootVersion } from '../../store/secrets/root-key.ts';
import type { RootKeyChange } from '../../store/secrets/root-versions.ts';
import { approvalKeyOf, deriveKey, deviceCodeKeyOf } from '../../store/secrets/seal.ts';
import type { ProcessName } from '../processes/process-configs.ts';
import type { Keys, RootKeys } from './keys.ts';
import { cookieKeyOf } from './people-config.ts';

/** So long before a version wraps, all processes know it: longer than a message takes to one that is busy. */
const usualSettleMs = 3000;

/** The root keys of one kind of process: what became of them so far, and what becomes of them. */
export type RootKeysOfProcess = {
  changes(): readonly RootKeyChange[];
  follow(tell: (changes: readonly RootKeyChange[]) => void): () => void;
};

/** The root keys that each process is told, itself or made from one; as in its configuration. */
const textsOf = ({ contentKey, gatewayKey, issuerKey }: RootKeys, keys: Keys): Partial<Record<ProcessName, string[]>> => {
  const [auditKey, approvalKey] = [deriveKey(contentKey, 'audit'), approvalKeyOf(gatewayKey)];
  const ofIssuer = [deriveKey(contentKey, 'grants'), issuerKey, deviceCodeKeyOf(issuerKey, cookieKeyOf(keys))];
  return {
    control: [contentKey, auditKey, approvalKey, ...ofIssuer],
    gateway: [gatewayKey, auditKey, approvalKey],
    worker: [contentKey, auditKey, approvalKey],
    egress: [auditKey],
  };
};

const nameOf = ({ id, bytes }: RootVersion): string => `${id}:${bytes.toString('base64')}`;

/** What is known before it is used: the one that wraps stays first, and whatever is new comes after it. */
const announcing = (before: string, after: string): string => {
  const [old, next] = [parseRootKey(before), parseRootKey(after)];
  const known = new Set(old.versions.map(nameOf));
  const versions = [...old.versions, ...next.versions.filter((version) => !known.has(nameOf(version)))];
  return formatRootKey({ versions, names: new Map([...next.names, ...old.names]) }).replaceAll('\n', ' ');
};
const isAnother = (before: string, after: string): boolean => {
  const known = new Set(parseRootKey(before).versions.map(nameOf));
  return !parseRootKey(after).versions.some((version) => known.has(nameOf(version)));
};
const rootNames = ['contentKey', 'gatewayKey', 'issuerKey'] as const;
const map = (change: (name: (typeof rootNames)[number]) => string): RootKeys => ({
  contentKey: change('contentKey'),
  gatewayKey: change('gatewayKey'),
  issuerKey: change('issuerKey'),
});

/**
 * Looks at the keys that wrap others again and again, and tells running processes what became of them: first that there is another version,
 * and when all know it, that it wraps. So a rotation needs no restart and fails no call, and a version that was retired is forgotten. A key that
 * cannot be read, or has nothing in common with the one in force, changes nothing.
 * @param options.read - the keys as they stand now; throws where they cannot be read
 * @param options.everyMs - how often
 */
export const followRootKeys = ({
  keys,
  read,
  onLine,
  everyMs,
  settleMs = usualSettleMs,
}: {
  keys: Keys;
  read: () => Promise<RootKeys>;
  onLine(text: string): void;
  everyMs: number;
  settleMs?: number;
}) => {
  const atStart = textsOf(keys, keys);
  const listeners = new Map<ProcessName, Set<(changes: readonly RootKeyChange[]) => void>>();
  let inForce = map((name) => keys[name]);
  let complaint = '';
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let looking: Promise<void> = Promise.resolve();
  const waiting = new AbortController();

  const changes = (process: ProcessName): RootKeyChange[] => {
    const next = textsOf(inForce, keys)[process] ?? [];
    return (atStart[process] ?? []).map((text, index) => ({ text, next: next[index] ?? text }));
  };
  const put = (next: RootKeys): void => {
    inForce = next;
    for (const [process, tells] of listeners) for (const tell of tells) tell(changes(process));
  };
  const settle = (): Promise<unknown> => sleep(settleMs, undefined, { signal: waiting.signal }).catch(() => undefined);

  const look = async (): Promise<void> => {
    const next = await read();
    const before = inForce;
    if (rootNames.every((name) => next[name] === before[name])) return;
    const strange = rootNames.filter((name) => isAnother(before[name], next[name]));
    if (strange.length > 0) throw new Error(`${strange.join(' and ')} is another key than the one in force, and stays as it was`);
    const known = map((name) => announcing(before[name], next[name]));
    if (rootNames.some((name) => known[name] !== before[name])) {
      put(known);
      await settle();
    }
    if (isClosed) return;
    put(next);
    onLine('keys that wrap others have changed; the running processes have them');
  };
  const lookAgain = (): void => {
    timer = setTimeout(() => {
      looking = look()
        .then(() => {
          complaint = '';
        })
        .catch((error: unknown) => {
          // said once, not at each look; a message of ours never says what stands in a key
          const said = isPlatformError(error) ? error.detail : error instanceof Error ? error.message : 'they cannot be read';
          if (said !== complaint) onLine(`the keys that wrap others were not taken up: ${said}`);
          complaint = said;
        })
        .finally(() => {
          if (!isClosed) lookAgain();
        });
    }, everyMs);
  };
  lookAgain();

  return {
    of: (process: ProcessName): RootKeysOfProcess => ({
      changes: () => changes(process),
      follow: (tell) => {
        const tells = listeners.get(process) ?? new Set();
        listeners.set(process, tells.add(tell));
        return () => void tells.delete(tell);
      },
    }),
    close: async (): Promise<void> => {
      isClosed = true;
      clearTimeout(timer);
      waiting.abort();
      await looking;
    },
  };
};
export type RootKeyFollower = ReturnType<typeof followRootKeys>;
