import { Context } from '@temporalio/activity';
import { changedSince, changedStep } from '../reconcile/changed-step.ts';
import { closedGate } from '../reconcile/closed-gate.ts';
import { faultAt } from '../reconcile/fault-at.ts';
import { createDriftMask } from '../reconcile/mask-drift.ts';
import { questionAhead, unwellSince } from '../reconcile/one-question.ts';
import { historyMs } from '../reconcile/past-fix.ts';
import { whatNow } from '../reconcile/what-now.ts';
import type { Approval } from '../schema/approval.ts';
import type { Conflict, Drift } from '../schema/reconcile/drift.ts';
import type { Fix } from '../schema/reconcile/fix.ts';
import { writeObjectRef } from '../schema/reconcile/object-ref.ts';
import type { TargetPhase } from '../schema/reconcile/target-state.ts';
import { getApproval } from '../store/approvals.ts';
import type { Database } from '../store/database.ts';
import { listFixes, listOpenFixes } from '../store/reconcile-fixes.ts';
import { findTarget, forgetTarget, writeTarget } from '../store/reconcile-targets.ts';
import { redactor } from '../telemetry/redactor.ts';
import { endFix } from './reconcile-close.ts';
import { diffNow, ended, loadTarget, type NextStep, type ReconcileCollaborators, resumed, type TargetCall } from './reconcile-context.ts';
import { openEscalation, openRuleFix } from './reconcile-open-fix.ts';
import { endVanished } from './reconcile-vanished.ts';
import { type Seen, seeTarget, whyUnknown } from './targets/see-target.ts';

/** So long a workflow waits by itself; for anything later the target's row says when, and the controller starts another. */
const longestWaitMs = 30_000;
/** A signal that was lost costs no longer than this: the row of an approval is looked at again. */
const longestApprovalWaitMs = 3_600_000;
const graceMs = 250;
/** From one look to the next where only a clock that is wrong says that the time has come. */
const apartWaitMs = 10_000;
const mostHistory = 500;

/** What goes on whatever else is said: what was begun is finished or undone. */
const runningStates: ReadonlySet<string> = new Set(['applying', 'verifying', 'undoing']);
const phaseOf: Partial<Record<Fix['state'], TargetPhase>> = {
  diagnosing: 'diagnosing',
  checking: 'fixing',
  'awaiting-approval': 'awaiting-approval',
  applying: 'fixing',
  verifying: 'verifying',
  undoing: 'fixing',
};

/** Whether the fault of a fix is among what was seen, or only hidden behind a hold. */
const isStillThere = ({ fingerprint }: Fix, drifts: readonly Drift[]): boolean => drifts.some((drift) => drift.fingerprint === fingerprint);
const heldObject = ({ plan, fingerprint }: Fix, conflicts: readonly Conflict[]): boolean =>
  conflicts.some(
    ({ why, object }) =>
      why === 'held' &&
      (plan?.steps.some(({ operation }) => writeObjectRef(operation.object) === writeObjectRef(object)) ||
        fingerprint.endsWith(`/${object.kind}/${object.namespace}/${object.name}`)),
  );

const movedStep = ({ plan }: Fix, { observation }: Seen): number =>
  plan !== null && observation.status === 'read' ? changedStep(plan, observation) : -1;

const approvalsOf = async (database: Database, fixes: readonly Fix[]): Promise<Map<string, Approval>> => {
  const found = fixes.map(
    async ({ id, approvalId, org, project }) => [id, await getApproval(database, { org, project, id: approvalId ?? '' })] as const,
  );
  return new Map(await Promise.all(found));
};

const describe = ({ kind, object }: Drift): string => `${kind} ${writeObjectRef(object)}`;

/**
 * Looks at a target and says what is to be done: nothing, wait, go on with what was begun, or begin with one fault. What was seen is in
 * the target's row afterwards, and that is not written where it says so already.
 */
export const createLookAtTarget =
  (collaborators: ReconcileCollaborators) =>
  async (call: TargetCall): Promise<NextStep> => {
    const { database } = collaborators;
    const { fence, ...key } = call;
    const loaded = await loadTarget(collaborators, key);
    const open = await listOpenFixes(database, key);
    if (!loaded) {
      for (const fix of open) await endVanished(collaborators, call, fix);
      await forgetTarget(database, key);
      return ended;
    }
    const { target, holds, now } = loaded;
    const row = await findTarget(database, key);
    if (row?.fence !== fence) return ended;

    const seen = await seeTarget(collaborators, target, Context.current().cancellationSignal);
    const nextLook = new Date(now.getTime() + target.spec.intervalSeconds * 1000);
    const unknown = whyUnknown(seen);
    if (unknown !== undefined) {
      // what was seen last stays in the row: of what cannot be read nothing new is said
      await writeTarget(database, key, fence, {
        ...{ drifts: row.drifts, conflicts: row.conflicts, dueAt: nextLook },
        ...(row.frozen ? { phase: 'frozen', message: row.message } : { phase: 'unknown', message: unknown }),
      });
      return ended;
    }
    const { drifts, conflicts } = await diffNow(collaborators, loaded, seen);
    // what is written down is for people to read; it is decided and acted by what was seen
    const mask = createDriftMask({ ...seen, redact: redactor.text });
    const written = drifts.map(mask.drift);
    const report = (phase: TargetPhase, message: string, dueAt: Date | null = null) =>
      writeTarget(database, key, fence, { phase, message, drifts: written, conflicts, dueAt });
    const waitUntil = async (until: Date, phase: TargetPhase, message: string): Promise<NextStep> => {
      await report(phase, message, until);
      const afterMs = Math.max(0, until.getTime() - now.getTime());
      return afterMs > longestWaitMs ? ended : { next: 'look', afterMs: Math.max(afterMs, 200) };
    };

    const running = open.find(({ state }) => runningStates.has(state));
    if (running) {
      await report(phaseOf[running.state] ?? 'fixing', running.message);
      return resumed(running);
    }
    if (row.frozen) {
      await report('frozen', row.message);
      return ended;
    }

    let active: Fix | undefined;
    const awaiting: Fix[] = [];
    const asked: Fix[] = [];
    const left = new Set<string>();
    for (const fix of open) {
      const isStale = fix.plan !== null && fix.plan.generation !== target.generation;
      if (!isStillThere(fix, drifts) && !heldObject(fix, conflicts)) {
        await endFix(collaborators, call, fix, 'left-alone', { message: 'The fault is gone, and not by this.' });
      } else if (isStale) {
        await endFix(collaborators, call, fix, 'stale', { message: `The target was declared anew (generation ${target.generation}).` });
      } else if (fix.state === 'awaiting-approval' && movedStep(fix, seen) >= 0) {
        // what people were shown is not so any more: they are asked anew, with what is so
        await endFix(collaborators, call, fix, 'stale', { message: changedSince(movedStep(fix, seen)) });
      } else if (fix.state === 'awaiting-approval' && unwellSince(fix, drifts)) {
        const codes = unwellSince(fix, drifts)?.symptoms.map(({ code }) => code);
        const message = `Since people were asked it is not well any more (${codes?.join(', ')}): they are asked anew, with that.`;
        await endFix(collaborators, call, fix, 'stale', { message });
      } else if (fix.state === 'asked') asked.push(fix);
      else if (fix.state === 'awaiting-approval') {
        awaiting.push(fix);
        left.add(fix.fingerprint);
      } else active ??= fix;
    }
    const approvals = await approvalsOf(database, awaiting);
    active ??= awaiting.find((fix) => approvals.get(fix.id)?.state !== 'pending');
    const gate = closedGate({ target, pause: loaded.pause, now: now.getTime() });
    const [firstHold] = holds;
    if (active && firstHold && heldObject(active, conflicts))
      return waitUntil(new Date(firstHold.untilAt), 'waiting', `Held by ${firstHold.heldBy}: ${firstHold.reason}`);
    if (gate && (active || awaiting.length > 0))
      // what has no end is looked at again at the interval; a change of the target is seen by itself
      return waitUntil(gate.untilMs === null ? nextLook : new Date(gate.untilMs), 'waiting', gate.because);
    if (active) {
      await report(phaseOf[active.state] ?? 'fixing', active.message);
      return resumed(active);
    }

    const awaitPeople = async (notAfterMs = Number.POSITIVE_INFINITY): Promise<NextStep> => {
      await report('awaiting-approval', awaiting.map(({ approvalId, fingerprint }) => `${approvalId}: ${faultAt(fingerprint)}`).join('; '));
      const ends = [...approvals.values()].map(({ expiresAt }) => Date.parse(expiresAt) + graceMs);
      const leftMs = Math.min(notAfterMs, ...ends, now.getTime() + longestApprovalWaitMs) - now.getTime();
      // whether an approval is over, the database says: where this clock is ahead of its, it is not asked again and again
      return { next: 'await', afterMs: leftMs > 0 ? Math.max(200, leftMs) : apartWaitMs };
    };
    const sinceAt = new Date(now.getTime() - historyMs);
    const history = await listFixes(database, key, key.target, { sinceAt, limit: mostHistory });
    // what people were asked is answered by them, or by the fault's end: for as long as it is open nothing is tried
    const fixes = history.map((fix) => (fix.state === 'asked' && fix.endedAt === null ? { ...fix, endedAt: now.toISOString() } : fix));
    // what waits for an approval holds nothing else up
    const free = drifts.filter((drift) => !left.has(drift.fingerprint) && !questionAhead(drift, awaiting));
    if (awaiting.length > 0 && free.length === 0) return awaitPeople();
    const decided = whatNow({
      ...{ target, drifts: free, conflicts, fixes, holds: loaded.heldLately, now: now.getTime(), ...seen },
      ...{ frozen: row.frozen, pause: loaded.pause },
    });
    // the wait for people ends with whatever comes first
    if (awaiting.length > 0 && decided.next !== 'rule' && decided.next !== 'escalate')
      return awaitPeople(('untilMs' in decided && decided.untilMs) || undefined);
    const fault = { call, loaded, seen, conflicts, fixes };
    switch (decided.next) {
      case 'nothing':
        await (drifts.length === 0 ? report('clean', '') : report('waiting', decided.because));
        return ended;
      case 'wait': {
        const open = asked.find(({ fingerprint }) => decided.why === 'answered' && fingerprint === decided.drift?.fingerprint);
        if (open) await report('asking', open.message);
        else if (decided.untilMs !== null) return waitUntil(new Date(decided.untilMs), 'waiting', decided.because);
        else await report('waiting', decided.because);
        return ended;
      }
      case 'contested':
        await report('contested', decided.because, decided.untilMs === null ? null : new Date(decided.untilMs));
        return ended;
      case 'rule': {
        const opened = await openRuleFix(collaborators, { ...fault, drift: decided.drift });
        if (opened.next !== 'end') await report(opened.next === 'diagnose' ? 'diagnosing' : 'fixing', describe(decided.drift));
        return opened;
      }
      case 'escalate': {
        const opened = await openEscalation(collaborators, { ...fault, drift: decided.drift }, decided.why);
        if (opened.next === 'diagnose') await report('diagnosing', describe(decided.drift));
        return opened;
      }
    }
  };
