import { Context } from '@temporalio/activity';
import { mendedText } from '../reconcile/fix-text.ts';
import { judgeEffect } from '../reconcile/judge-effect.ts';
import { withHeartbeat } from './failures.ts';
import { beginUndo } from './reconcile-apply.ts';
import { endFix } from './reconcile-close.ts';
import { diffNow, type FixCall, lookAgain, type NextStep, type ReconcileCollaborators } from './reconcile-context.ts';
import { loadPlannedFix } from './reconcile-load-fix.ts';
import { readSeen } from './reconcile-seen.ts';
import { seeTarget, whyUnknown } from './targets/see-target.ts';

/** Looks while something is verified: more often where the hold time is short, so that what breaks in it is seen. */
const nextLookMs = (holdSeconds: number, goneForMs: number | null): number => {
  const usual = Math.min(10_000, Math.max(250, (holdSeconds * 1000) / 4));
  return goneForMs === null ? usual : Math.max(100, Math.min(usual, holdSeconds * 1000 - goneForMs));
};

/**
 * Judges a fix by what is seen and not by what was said: the fault has to be gone and what is around it well, for the whole hold time. Else
 * what was done is undone. An effect that nobody can see is waited for.
 */
export const createJudgeFix =
  (collaborators: ReconcileCollaborators) =>
  (call: FixCall): Promise<NextStep> =>
    withHeartbeat(async () => {
      const { contents } = collaborators;
      const { fixId, waitedMs = 0 } = call;
      const begunAt = performance.now();
      const found = await loadPlannedFix(collaborators, call, 'verifying');
      if (!found.ok) return found.step;
      const { fix, loaded } = found;
      const { target } = loaded;
      const seen = await seeTarget(collaborators, target, Context.current().cancellationSignal);
      if (whyUnknown(seen) !== undefined) return lookAgain;
      const before = await readSeen(contents, call, fix.seenDigest);
      const { drifts } = await diffNow(collaborators, loaded, seen);
      const isThere = drifts.some(({ fingerprint }) => fingerprint === fix.fingerprint);
      const goneForMs = isThere ? null : (call.goneForMs ?? 0);
      const sinceAppliedMs = Math.round(waitedMs + performance.now() - begunAt);
      const effect = judgeEffect({
        ...{ before: before.observation, after: seen.observation, drift: before.drift, plan: fix.plan, target, isThere },
        ...{ sinceAppliedMs, goneSinceMs: goneForMs ?? 0 },
      });
      switch (effect) {
        case 'gone':
          return endFix(collaborators, call, fix, 'fixed', { message: mendedText(fix.plan, before.drift) });
        case 'waiting': {
          const afterMs = nextLookMs(target.spec.verification.holdSeconds, goneForMs);
          const waited = { waitedMs: sinceAppliedMs + afterMs, goneForMs: goneForMs === null ? null : goneForMs + afterMs };
          return { next: 'judge', fixId, afterMs, ...waited };
        }
        case 'unchanged':
          return beginUndo(collaborators, call, 'ineffective', 'The fault stayed.');
        case 'worse':
          return beginUndo(collaborators, call, 'rolled-back', 'Something around it became unhealthy.');
      }
    });
