import { setTimeout as delay } from 'node:timers/promises';
import { type Haltable, type HaltIndex, indexHalts } from '../../policy/halt-index.ts';
import { PlatformError } from '../../schema/errors.ts';
import { type Halt, haltName } from '../../schema/halt.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { Database } from '../../store/database.ts';
import { type HaltWatch, watchHalts } from '../../store/watch-halts.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { PassingMap } from '../passing-map.ts';
import type { Principal } from '../principal.ts';
import type { UnderWay } from './under-way.ts';

/** A view older than this is not relied on: with the look right before a request is sent, none starts later than two seconds after a halt. */
const longestUnseenMs = 1_800;
/** How long a call waits to hear what is halted, when the view has grown old. */
const longestLookMs = 2_000;
export const haltedRetrySeconds = 30;

export type Halts = {
  /** Whether it is known that nothing at all is halted: then nothing has to be asked about. */
  readonly isClear: boolean;
  /**
   * Refuses what is halted. Nearly always at once; a promise where it has to be asked anew what is halted.
   * @throws {PlatformError} `halted`; `store_unavailable` when nobody can say, for then it may be
   */
  check(what: Haltable): void | Promise<void>;
  /** The refusal of what is halted as far as is known, whatever its age; undefined where nothing is in the way. */
  find(what: Haltable): PlatformError | undefined;
  /** What begins now, and is cut when it is halted before its `end`. */
  begin(what: Haltable): UnderWay;
  end(underWay: UnderWay): void;
  /** Calls back after each change, until the returned function is called. */
  onChange(listener: (index: HaltIndex, halts: readonly Halt[]) => void): () => void;
};

/** Everything about a caller that can be halted; in the project that is given, a person has none of their own. */
export const haltableOf = (principal: Principal, { org, project }: Tenancy, further: Pick<Haltable, 'server' | 'model'> = {}): Haltable =>
  principal.kind === 'agent'
    ? {
        org,
        project,
        person: principal.person,
        fleet: principal.fleet,
        run: principal.runId,
        agent: principal.agentId,
        role: principal.role,
        ...further,
      }
    : { org, project, person: principal.id, ...further };

const haltedBy = (halt: Halt): PlatformError =>
  new PlatformError(
    'halted',
    `${haltName(halt)} is halted since ${halt.haltedAt} by ${halt.haltedBy}${halt.reason === '' ? '' : ` (${halt.reason})`}; a person has to lift that (\`quarterdeck halt --lift\`).`,
    { facts: { halt: haltName(halt), retryAfterSeconds: haltedRetrySeconds } },
  );

const tooOld = (cause?: unknown): PlatformError =>
  new PlatformError(
    'store_unavailable',
    'It cannot be read at the moment what is halted, so no call is let through; try again in a few seconds.',
    {
      cause,
      facts: { retryAfterSeconds: 2 },
    },
  );

/**
 * Follows what is halted: refuses what would begin, cuts what is under way, and relies on no view that is too old to know.
 * `begin` has to be called, and resolves when the first view is there.
 */
export const followHalts = ({ database, logger }: { database: Database; logger: Logger }) => {
  let index: HaltIndex = indexHalts([]);
  let watch: HaltWatch | undefined;
  const underWay = new PassingMap<number, UnderWay>();
  let lastNumber = 0;
  const listeners = new Set<(index: HaltIndex, halts: readonly Halt[]) => void>();

  const onChange = (halts: readonly Halt[]): void => {
    const wasEmpty = index.isEmpty;
    index = indexHalts(halts);
    if (!wasEmpty || !index.isEmpty)
      logger.info({ halts: halts.map((halt) => `${halt.org}/${halt.project} ${haltName(halt)}`) }, 'what is halted has changed');
    for (const each of underWay.values()) {
      const halt = each.halted ? undefined : index.find(each.what);
      if (!halt) continue;
      each.halted = haltedBy(halt);
      each.cut?.(each.halted);
    }
    for (const listener of [...listeners]) listener(index, halts);
  };

  const refuse = (what: Haltable): void => {
    const halt = index.isEmpty ? undefined : index.find(what);
    if (halt) throw haltedBy(halt);
  };

  const lookThenRefuse = async (what: Haltable): Promise<void> => {
    if (!watch) throw tooOld();
    const looked = await Promise.race([
      watch.refresh().then(
        () => true,
        () => false,
      ),
      delay(longestLookMs, false, { ref: false }),
    ]);
    if (!looked) throw tooOld();
    refuse(what);
  };

  const isFresh = (): boolean => watch !== undefined && performance.now() - watch.asOfMs <= longestUnseenMs;

  const halts: Halts = {
    get isClear() {
      return index.isEmpty && isFresh();
    },
    check: (what) => {
      return isFresh() ? refuse(what) : lookThenRefuse(what);
    },
    find: (what) => {
      const halt = index.isEmpty ? undefined : index.find(what);
      return halt && haltedBy(halt);
    },
    begin: (what) => {
      lastNumber += 1;
      const each: UnderWay = { what, number: lastNumber, halted: undefined, cut: undefined };
      underWay.set(each.number, each);
      return each;
    },
    end: (each) => {
      each.cut = undefined;
      underWay.delete(each.number);
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };

  return {
    halts,
    start: async (): Promise<void> => {
      watch = await watchHalts({ database, logger, onChange });
    },
    close: async (): Promise<void> => watch?.close(),
  };
};
