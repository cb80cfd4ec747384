import { historyMs } from '../reconcile/past-fix.ts';
import type { Fix } from '../schema/reconcile/fix.ts';
import type { Observation } from '../schema/reconcile/observation.ts';
import type { ContentStore } from '../store/contents.ts';
import type { Database } from '../store/database.ts';
import { listFixes, moveFix } from '../store/reconcile-fixes.ts';
import { askPeople } from './reconcile-close.ts';
import { ended, type FixCall, lookAgain, type NextStep } from './reconcile-context.ts';
import type { DiagnosisInput, DiagnosisResult } from './reconcile-diagnose.ts';
import { loadFix } from './reconcile-load-fix.ts';
import { preparePlan } from './reconcile-plan.ts';
import { keepSeen, readSeen } from './reconcile-seen.ts';

/** Earlier attempts at the same fault, as evidence. */
const earlierOf = (fixes: readonly Fix[], { id, fingerprint }: Fix) =>
  fixes
    .filter((fix) => fix.id !== id && fix.fingerprint === fingerprint)
    .map((fix) => ({ id: fix.id, state: fix.state, plan: fix.plan, message: fix.message, beganAt: fix.beganAt }));

/**
 * Has a fault diagnosed and makes a plan of what was proposed; the model's part ends with that. An answer of no use is for people: they are
 * told once, with the evidence. Runs in a pool of its own beside those of agents: it reaches no target, and sees what the look before it saw.
 */
export const createDiagnoseFix =
  ({
    database,
    contents,
    clock,
    diagnose,
  }: {
    database: Database;
    contents: ContentStore;
    clock: () => Date;
    diagnose: (input: DiagnosisInput) => Promise<DiagnosisResult>;
  }) =>
  async (call: FixCall): Promise<NextStep> => {
    const { fence, fixId, ...place } = call;
    const key = { org: place.org, project: place.project, target: place.target, id: fixId };
    const found = await loadFix({ database, clock }, call, 'diagnosing');
    if (!found.ok) return found.step;
    const { fix } = found;
    const { target, now } = found.loaded;
    const seen = await readSeen(contents, call, fix.seenDigest);
    const { drift, why, conflicts, desired, observation, owner, launchDecisionId } = seen;
    if (observation.status !== 'read') return lookAgain;
    const history = await listFixes(database, call, call.target, { sinceAt: new Date(now.getTime() - historyMs) });
    const result = await diagnose({
      ...{ fixId, target, owner, launchDecisionId, drift, why, conflicts, desired },
      observation: observation satisfies Observation,
      earlier: earlierOf(history, fix),
    });
    const { evidenceDigest, costMicroUsd, modelCalls } = result;
    const spent = { evidenceDigest, costMicroUsd, modelCalls };
    if (result.kind === 'asks')
      return askPeople({ database }, call, target, fix, { ...spent, message: `${result.reason}: ${result.detail}`.trim() });

    const { operations, confidence, diagnosis } = result.proposal;
    const source = { kind: 'model', role: result.role, model: result.model, confidence, diagnosis } as const;
    const prepared = await preparePlan(contents, { target, drift, operations, source, evidenceDigest, desired, observation });
    if (!prepared.ok) {
      const message = prepared.faults.map((fault) => fault.message).join(' ');
      return askPeople({ database }, call, target, fix, { ...spent, faults: prepared.faults, message });
    }
    const seenDigest = await keepSeen(contents, call, { ...seen, flagged: result.flagged });
    const message = `${why}: ${diagnosis}`.slice(0, 2000);
    const patch = { ...spent, ...prepared.patch, seenDigest, message };
    const moved = await moveFix(database, key, ['diagnosing'], 'checking', patch, fence);
    return moved === 'moved' ? { next: 'check', fixId, afterMs: 0 } : ended;
  };
