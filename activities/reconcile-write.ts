import { reconcilerId } from '../policy/caller-entities.ts';
import type { TargetOf } from '../reconcile/target-port.ts';
import type { NewAuditEvent } from '../schema/audit-event.ts';
import type { Fix, TriedStep } from '../schema/reconcile/fix.ts';
import { writeObjectRef } from '../schema/reconcile/object-ref.ts';
import type { Operation } from '../schema/reconcile/operation.ts';
import type { Precondition, Rewritten, StepOutcome } from '../schema/reconcile/plan.ts';
import { beginStep, endStep, type StepKey } from '../store/reconcile-steps.ts';
import { holdsFence } from '../store/reconcile-targets.ts';
import type { FixCall, ReconcileCollaborators } from './reconcile-context.ts';

/** One write of a fix or of its undoing. */
export type FixWrite = StepKey & { operation: Operation; precondition: Precondition; rewritten?: Rewritten };

/** A fault of many fields has a long name; its beginning says what it is. */
const mostFault = 300;

const afterHashOf = (outcome: StepOutcome): string => (outcome.kind === 'applied' ? outcome.hash : '');
const beforeHashOf = (precondition: Precondition): string => (precondition.kind === 'version' ? precondition.hash : '');

/** What the audit says of a write: enough to tell who, why, on what evidence and by which decision, and how it was before and after. */
export const writeEvent = (
  fix: Fix,
  { direction, step, operation }: Omit<FixWrite, 'precondition'>,
  { operationId, beforeHash }: TriedStep,
  kind: 'intent' | 'outcome',
  outcome: StepOutcome | undefined,
): NewAuditEvent => {
  const { org, project, target, decisionId, policyVersion, plan, planDigest, evidenceDigest, id, faultKind } = fix;
  const isOk = outcome?.kind === 'applied' || outcome?.kind === 'unchanged';
  const source = plan?.source;
  const fault = faultKind.slice(0, mostFault).toWellFormed();
  return {
    ...{ org, project, kind, operationId, policyVersion },
    ...{ action: 'applyFix', decision: 'allow', decisionId: decisionId ?? '', resource: `ReconcileTarget/${target}` },
    agent: reconcilerId({ org, project }, target),
    outcome: outcome === undefined ? 'pending' : isOk ? 'ok' : outcome.kind === 'unknown' ? 'unknown' : 'error',
    facts: {
      ...{ fix: id, fault, plan: planDigest, evidence: evidenceDigest },
      ...{ direction, step, operation: operation.op, object: writeObjectRef(operation.object), before: beforeHash },
      ...(source?.kind === 'rule' ? { rule: source.rule } : source ? { source: source.kind } : {}),
      ...(outcome === undefined ? {} : { became: outcome.kind, after: afterHashOf(outcome) }),
    },
  };
};

/**
 * Does one operation: put down that it is about to be tried, with a row of the audit, then tried under the lock of the target, then what came of
 * it. Done again after a kill it has the same operation id, by which the adapter finds what became of the first try.
 */
export const writeStep = async (
  { database, audit, contents, ports, clock }: Pick<ReconcileCollaborators, 'database' | 'audit' | 'contents' | 'ports' | 'clock'>,
  call: FixCall,
  target: TargetOf,
  fix: Fix,
  write: FixWrite,
  signal: AbortSignal,
): Promise<StepOutcome> => {
  const { fence, ...key } = call;
  const { operation, precondition, rewritten } = write;
  const port = ports.of(target.spec.type);
  if (!port) return { kind: 'failed', reason: 'invalid', message: `There is no adapter for targets of the kind \`${target.spec.type}\`.` };
  const { fixId, direction, step } = write;
  const begun = await database.transaction(async (transaction) => {
    const tried = await beginStep(transaction, { fixId, direction, step, fence, beforeHash: beforeHashOf(precondition) });
    if (tried.outcome === null) await audit.append(transaction, [writeEvent(fix, write, tried, 'intent', undefined)]);
    return tried;
  });
  // what is known of an earlier try is what came of this one
  if (begun.outcome !== null && begun.outcome.kind !== 'unknown') return begun.outcome;
  const outcome: StepOutcome =
    operation.op === 'addIgnoreRule'
      ? // in force by its fix alone, for as long as that stands (`overlayDesired`): nothing of the system is changed
        { kind: 'unchanged', at: clock().toISOString() }
      : await port.apply(target, operation, {
          ...{ operationId: begun.operationId, isRetry: begun.isRetry, precondition, signal, ...(rewritten ? { rewritten } : {}) },
          holdsFence: () => holdsFence(database, key, fence),
          readState: async (digest) => contents.getJson(key, digest),
        });
  // another has taken the target: what comes of this step is the other's to say
  if (outcome.kind === 'failed' && outcome.reason === 'fenced') return outcome;
  await database.transaction(async (transaction) => {
    const isPutDown = await endStep(transaction, write, outcome, afterHashOf(outcome));
    // that nobody knows yet was said after the first try; a system that is away for long fills no audit
    if (isPutDown && !(outcome.kind === 'unknown' && begun.outcome?.kind === 'unknown'))
      await audit.append(transaction, [writeEvent(fix, write, begun, 'outcome', outcome)]);
  });
  return outcome;
};
