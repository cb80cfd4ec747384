import { isPlatformError } from '../../schema/errors.ts';
import { type ObjectRef, objectKey } from '../../schema/reconcile/object-ref.ts';
import type { Desired, Observation, ObservedObject } from '../../schema/reconcile/observation.ts';
import { beforeAbort } from './before-abort.ts';
import { digestOf } from './kubernetes-state.ts';
import {
  answerWithinMs,
  NothingSaid,
  type PlatformContext,
  type PlatformPart,
  type PlatformTarget,
  platformObject,
  type WatchItem,
} from './platform-context.ts';
import { createPlatformKeys } from './platform-keys.ts';
import { createPlatformPins } from './platform-pins.ts';
import { createPlatformPolicies } from './platform-policies.ts';
import { createPlatformRuns } from './platform-runs.ts';
import { createPlatformServers } from './platform-servers.ts';
import { createPlatformToolsets } from './platform-toolsets.ts';
import { createPlatformWorkers } from './platform-workers.ts';

export const createPlatformParts = (context: PlatformContext): Readonly<Record<WatchItem, PlatformPart>> => ({
  servers: createPlatformServers(context),
  toolsets: createPlatformToolsets(context),
  pins: createPlatformPins(context),
  policies: createPlatformPolicies(context),
  keys: createPlatformKeys(context),
  runs: createPlatformRuns(context),
  workers: createPlatformWorkers(context),
});
export type PlatformParts = ReturnType<typeof createPlatformParts>;

/** What was declared is what was seen this long ago at most, so that the two are of one moment. */
const sameMomentMs = 10_000;
/** @throws {NothingSaid} for a part of the platform that hangs */
const inTime = async <T>(see: (signal: AbortSignal) => Promise<T>, what: string): Promise<T> => {
  const late = AbortSignal.timeout(answerWithinMs);
  try {
    return await beforeAbort(see(late), late);
  } catch (error) {
    if (late.aborted) throw new NothingSaid(`${what} could not be seen within ${answerWithinMs / 1000} s`);
    throw error;
  }
};

/** What was there and is no more is said to be gone for this long, so that it is not taken for missing by whoever asked before. */
const goneForMs = 120_000;

type Look = { atMs: number; objects: ObservedObject[] };
type Held = {
  last: Promise<Look> | undefined;
  /** Looks come one after another, since each learns from those before it what is gone. */
  running: Promise<Look> | undefined;
  /** The one after it: of all that ask meanwhile, for they all want to know what is there from now on. */
  next: { generation: number; look: Promise<Look> } | undefined;
  gone: Map<string, { ref: ObjectRef; uid: string; untilMs: number }>;
};

/** How something is seen that was there before. */
export const goneObject = (ref: ObjectRef, uid: string): ObservedObject => platformObject(ref, uid, { gone: true }, []);

/**
 * What the project's part of the installation is and is to be. It is declared in many places, and all of it that is well has nothing to be
 * compared: faults are symptoms of what is there, so what is seen and what is to be are one list.
 */
export const createPlatformObserve = ({ parts, now }: { parts: PlatformParts; now: () => Date }) => {
  const looks = new Map<string, Held>();

  const seeAll = async ({ org, project, spec }: PlatformTarget, { gone }: Held): Promise<Look> => {
    const seen = (await Promise.all(spec.watch.map((item) => inTime((signal) => parts[item].see({ org, project }, signal), item)))).flat();
    const atMs = now().getTime();
    const present = new Set(seen.map(({ ref }) => objectKey(ref)));
    for (const [object, { ref, uid, untilMs }] of gone)
      if (untilMs < atMs || present.has(object)) gone.delete(object);
      else seen.push(goneObject(ref, uid));
    for (const { ref, uid } of seen) if (present.has(objectKey(ref))) gone.set(objectKey(ref), { ref, uid, untilMs: atMs + goneForMs });
    return { atMs, objects: seen };
  };

  const begin = (target: PlatformTarget, held: Held): Promise<Look> => {
    const look = seeAll(target, held);
    held.running = look;
    held.last = look;
    look
      .catch(() => {
        if (held.last === look) held.last = undefined;
      })
      .finally(() => {
        if (held.running === look) held.running = undefined;
      });
    return look;
  };

  /** A look that begins now or later, and that nobody who leaves can end: others may wait for the same. */
  const look = (target: PlatformTarget): Promise<Look> => {
    const { org, project, name, generation } = target;
    const key = `${org}/${project}/${name}`;
    const held: Held = looks.get(key) ?? { last: undefined, running: undefined, next: undefined, gone: new Map() };
    looks.set(key, held);
    if (held.next?.generation === generation) return held.next.look;
    const before = held.next?.look ?? held.running;
    if (!before) return begin(target, held);
    const next = {
      generation,
      look: before
        .catch(() => undefined)
        .then(() => {
          if (held.next === next) held.next = undefined;
          return begin(target, held);
        }),
    };
    held.next = next;
    return next.look;
  };

  const reasonOf = (error: unknown): { reason: 'incomplete' | 'unreachable'; message: string } => {
    if (error instanceof NothingSaid) return { reason: 'incomplete', message: error.message };
    return { reason: 'unreachable', message: isPlatformError(error) ? error.detail : 'the platform cannot be asked at the moment' };
  };

  return {
    desired: async (target: PlatformTarget, signal: AbortSignal): Promise<Desired> => {
      try {
        const last = await beforeAbort(Promise.resolve(looks.get(`${target.org}/${target.project}/${target.name}`)?.last), signal);
        const seen = last && now().getTime() - last.atMs <= sameMomentMs ? last : await beforeAbort(look(target), signal);
        const objects = seen.objects.map(({ ref }) => ({ ref, state: {}, wave: 0 }));
        return { status: 'read', objects, digest: digestOf(objects.map(({ ref }) => objectKey(ref)).sort()) };
      } catch (error) {
        signal.throwIfAborted();
        return { status: 'unreadable', message: reasonOf(error).message };
      }
    },

    observe: async (target: PlatformTarget, signal: AbortSignal): Promise<Observation> => {
      try {
        const { atMs, objects } = await beforeAbort(look(target), signal);
        return { status: 'read', at: new Date(atMs).toISOString(), objects, neighbours: [] };
      } catch (error) {
        signal.throwIfAborted();
        return { status: 'unknown', at: now().toISOString(), ...reasonOf(error) };
      }
    },
  };
};
