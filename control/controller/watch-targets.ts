import type { TargetOf, TargetPort } from '../../reconcile/target-port.ts';
import type { StoredResource } from '../../schema/resource.ts';
import type { TargetType } from '../../schema/resources/reconcile-target.ts';
import type { Declared } from '../../store/declared.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { LookAtTarget, LookMemory } from './look-at-target.ts';
import { targetKeyText } from './target-view.ts';

/** What there is to look with; a process looks at the kinds that it has an adapter of, and leaves the others to those that have theirs. */
export type PortsOfTargets = { of: (type: TargetType) => TargetPort | undefined };

type Watched = {
  target: TargetOf;
  port: TargetPort;
  memory: LookMemory;
  closing: AbortController;
  timer?: NodeJS.Timeout;
  dueAtMs: number;
};

/** Changes come in bursts: so long after the first of them it is looked. */
const settleMs = 200;
/** After the start, a thousand targets do not look in the same moment. */
const firstLookWithinMs = 5_000;
const mostLooksAtOnce = 4;

const targetOf = ({ metadata, generation, spec }: StoredResource<'ReconcileTarget'>): TargetOf => ({
  org: metadata.org,
  project: metadata.project,
  name: metadata.name,
  generation,
  spec,
});

/**
 * Watches what is declared to be kept: looks when something changed, and at each target's interval besides. Only while it leads does it watch
 * and look at all.
 * @param options.random - 0 up to 1; intervals are spread by it, so that those that began together do not stay together
 */
export const createTargetWatch = ({
  ports,
  look,
  logger,
  random = Math.random,
}: {
  ports: PortsOfTargets;
  look: LookAtTarget;
  logger: Logger;
  random?: () => number;
}) => {
  const watched = new Map<string, Watched>();
  let declared: readonly StoredResource<'ReconcileTarget'>[] | undefined;
  let isLeading = false;
  const waiting = new Set<Watched>();
  const running = new Set<Promise<void>>();
  const failing = new Set<string>();

  const plan = (one: Watched, delayMs: number): void => {
    if (one.closing.signal.aborted) return;
    const atMs = performance.now() + delayMs;
    if (one.timer !== undefined && one.dueAtMs <= atMs) return;
    clearTimeout(one.timer);
    one.dueAtMs = atMs;
    one.timer = setTimeout(() => {
      delete one.timer;
      waiting.add(one);
      work();
    }, delayMs);
    one.timer.unref();
  };

  const lookAt = async (one: Watched): Promise<void> => {
    const { target, port, memory, closing } = one;
    const name = targetKeyText({ ...target, target: target.name });
    try {
      await look(target, port, memory, closing.signal);
      failing.delete(name);
    } catch (error) {
      if (closing.signal.aborted) return;
      // said once, not at every look of an outage
      if (!failing.has(name)) logger.warn({ err: error, target: name }, 'a target could not be looked at; the next interval tries again');
      failing.add(name);
    }
    plan(one, target.spec.intervalSeconds * 1000 * (0.9 + 0.2 * random()));
  };

  const work = (): void => {
    for (const one of waiting) {
      if (running.size >= mostLooksAtOnce) return;
      waiting.delete(one);
      const done = lookAt(one).finally(() => {
        running.delete(done);
        work();
      });
      running.add(done);
    }
  };

  const forget = (name: string): void => {
    const one = watched.get(name);
    if (!one) return;
    watched.delete(name);
    waiting.delete(one);
    clearTimeout(one.timer);
    one.closing.abort();
  };

  const begin = (name: string, target: TargetOf): void => {
    const port = ports.of(target.spec.type);
    if (!port) return;
    const one: Watched = { target, port, memory: { about: '', toldAt: 0 }, closing: new AbortController(), dueAtMs: 0 };
    watched.set(name, one);
    port.watch(target, () => plan(one, settleMs * (0.5 + random())), one.closing.signal);
    plan(one, random() * Math.min(firstLookWithinMs, target.spec.intervalSeconds * 1000));
  };

  const follow = (): void => {
    const wanted = new Map(
      isLeading ? (declared ?? []).map(targetOf).map((target) => [targetKeyText({ ...target, target: target.name }), target]) : [],
    );
    for (const [name, { target }] of watched) if (wanted.get(name)?.generation !== target.generation) forget(name);
    for (const [name, target] of wanted) if (!watched.has(name)) begin(name, target);
  };

  return {
    /** Takes over what is declared now. */
    take: (now: Declared): void => {
      declared = now.list('ReconcileTarget');
      follow();
    },
    /** Begins to watch; again does nothing. */
    lead: (): void => {
      if (isLeading) return;
      isLeading = true;
      follow();
    },
    /** Another leads, or nobody: nothing is looked at. */
    rest: (): void => {
      isLeading = false;
      follow();
    },
    /** Of what was not read yet nothing is said to be gone. */
    isDeclared: (name: string): boolean =>
      declared === undefined || declared.some(({ metadata }) => targetKeyText({ ...metadata, target: metadata.name }) === name),
    close: async (): Promise<void> => {
      isLeading = false;
      follow();
      await Promise.all(running);
    },
  };
};
export type TargetWatch = ReturnType<typeof createTargetWatch>;
