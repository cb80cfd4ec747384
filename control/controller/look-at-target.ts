import { diffKept } from '../../reconcile/diff-kept.ts';
import { diffTarget } from '../../reconcile/diff-target.ts';
import type { Hold } from '../../reconcile/field-ownership.ts';
import type { TargetOf, TargetPort } from '../../reconcile/target-port.ts';
import type { Desired, Observation } from '../../schema/reconcile/observation.ts';
import type { Database } from '../../store/database.ts';
import { listStandingFixes } from '../../store/reconcile-fixes.ts';
import { noteTarget } from '../../store/reconcile-notes.ts';
import type { TargetKey } from '../../store/reconcile-targets.ts';
import { judgeLook, type Look } from './judge-look.ts';
import { type TargetViews, targetKeyText } from './target-view.ts';

/** So long a start may take until its workflow has taken the target; then it is repeated. */
const startTakesMs = 30_000;

export type StartReconcile = (key: TargetKey) => Promise<void>;
/** What the watch remembers of a target between two looks. */
export type LookMemory = {
  about: string;
  toldAt: number;
  /** The last look of which nothing followed, and what was known of the target then. */
  clean?: { observation: Observation; desired: Desired; look: Look } | undefined;
};

/**
 * Looks at one target and does what follows: most often nothing. A row is written where what it says changes, a workflow started where
 * there is work that it does not know of.
 */
export const createLook = ({
  database,
  views,
  startReconcile,
  clock,
  digest,
}: {
  database: Database;
  views: TargetViews;
  startReconcile: StartReconcile;
  clock: () => Date;
  /** What fixes know declared objects by (`ContentStore.digestOf`). */
  digest: (text: string) => string;
}) => {
  /** What verified fixes made other than declared is no drift; they are asked for only where something differs. */
  const diff = async (target: TargetOf, facts: { desired: Desired; observation: Observation; holds: readonly Hold[]; now: number }) => {
    const bare = diffTarget({ target, ...facts });
    if (bare.drifts.length === 0) return bare;
    const fixes = await listStandingFixes(database, { org: target.org, project: target.project, target: target.name });
    if (fixes.length === 0) return bare;
    const { drifts, conflicts } = diffKept({ target, ...facts, fixes, digest });
    return { drifts, conflicts };
  };

  return async (target: TargetOf, port: TargetPort, memory: LookMemory, signal: AbortSignal): Promise<Look> => {
    const key = { org: target.org, project: target.project, target: target.name };
    const [observation, desired] = await Promise.all([port.observe(target, signal), port.desired(target, signal)]);
    const { rows, holdsOf } = await views.read();
    const name = targetKeyText(key);
    const row = rows.get(name);
    const holds = holdsOf(name);
    const { clean } = memory;
    // what is the same thing in memory is the same: a thousand that are as they were cost a thousand comparisons
    const isSame = clean?.observation === observation && clean.desired === desired && holds.length === 0;
    if (isSame && row?.phase === 'clean' && row.generation === target.generation) return clean.look;
    const now = clock().getTime();
    const found = await diff(target, { desired, observation, holds, now });
    const look: Look = { generation: target.generation, desired, observation, ...found };
    const judged = judgeLook(look, row);
    memory.clean = judged.next === 'note' && judged.phase === 'clean' && holds.length === 0 ? { observation, desired, look } : undefined;
    if (judged.next === 'note') {
      memory.about = '';
      const { phase, message, conflicts } = judged;
      const isKnown =
        row?.phase === phase &&
        row.message === message &&
        row.generation === target.generation &&
        JSON.stringify(row.conflicts) === JSON.stringify(conflicts);
      if (!isKnown) await noteTarget(database, key, { generation: target.generation, phase, message, conflicts });
    }
    if (judged.next === 'start' && (memory.about !== judged.about || performance.now() - memory.toldAt >= startTakesMs)) {
      await startReconcile(key);
      memory.about = judged.about;
      memory.toldAt = performance.now();
    }
    return look;
  };
};
export type LookAtTarget = ReturnType<typeof createLook>;
