import { reconcilerId } from '../policy/caller-entities.ts';
import { faultAt } from '../reconcile/fault-at.ts';
import type { TargetOf } from '../reconcile/target-port.ts';
import type { Fix } from '../schema/reconcile/fix.ts';
import { writeObjectRef } from '../schema/reconcile/object-ref.ts';
import type { FixState } from '../schema/reconcile/target-state.ts';
import { addDeliveries, announceEnded } from '../store/channel-deliveries.ts';
import type { Executor } from '../store/database.ts';
import { voidApprovalsOf } from '../store/expire-approvals.ts';
import { closeFix, type FixPatch, findFix, moveFix } from '../store/reconcile-fixes.ts';
import { freezeTarget } from '../store/reconcile-targets.ts';
import {
  lookAgain,
  type NextStep,
  type ReconcileCollaborators,
  reportPhase,
  ended as stopped,
  type TargetCall,
} from './reconcile-context.ts';

const mostMessage = 2000;

/** Tells the people of a target something that cannot wait, once for one subject, by the channels that it names. */
const tellPeople = async (
  executor: Executor,
  { org, project, name, spec }: Pick<TargetOf, 'org' | 'project' | 'name' | 'spec'>,
  subject: string,
  text: string,
): Promise<void> => {
  const told = `${name}: ${text}${spec.contact ? ` Contact: ${spec.contact}.` : ''}`.slice(0, mostMessage);
  await addDeliveries(
    executor,
    spec.channels.map((channel) => ({ org, project, channel, event: 'page', subject, text: told })),
  );
};

/** Has learned from a fix that has ended, out of its row. */
const learnFrom = async ({ database, learn }: Pick<ReconcileCollaborators, 'database' | 'learn'>, fixId: string): Promise<void> => {
  const fix = await findFix(database, fixId);
  if (fix) await learn(fix);
};

/**
 * Ends a fix, with its approval if that is still open, and looks at the target again.
 * @param page - told to the target's people in the same transaction, where it cannot wait
 */
export const endFix = async (
  collaborators: Pick<ReconcileCollaborators, 'database' | 'audit' | 'learn'>,
  { fence, ...key }: TargetCall,
  { id }: Pick<Fix, 'id'>,
  state: FixState,
  patch: FixPatch & { message: string },
  page?: { target: TargetOf; text: string },
): Promise<NextStep> => {
  const { database, audit } = collaborators;
  const message = patch.message.slice(0, mostMessage);
  const asks = { org: key.org, project: key.project, principal: `agent:${reconcilerId(key, key.target)}`, operationId: id };
  const closed = await closeFix(database, { ...key, id }, state, { ...patch, message }, fence, async (executor) => {
    await announceEnded(executor, id);
    // nobody is asked any more about what will not be done
    await voidApprovalsOf(executor, audit, asks);
    if (page) await tellPeople(executor, page.target, `${id}/${state}`, page.text);
  });
  if (closed === 'lost') return stopped;
  await learnFrom(collaborators, id);
  return lookAgain;
};

/** Ends a fix that a kill left without what it begins with, as earlier releases could: the fault is looked at anew, and nothing was done. */
export const endHalfBegun = async (
  { database }: Pick<ReconcileCollaborators, 'database'>,
  { fence, ...key }: TargetCall,
  { id }: Pick<Fix, 'id'>,
): Promise<NextStep> => {
  const message = 'A worker ended before it was begun; what is there is looked at anew.';
  const closed = await closeFix(database, { ...key, id }, 'stale', { message }, fence);
  return closed === 'lost' ? stopped : lookAgain;
};

/** Leaves a fault to people: the fix stays open as `asked`, so that nothing else is tried and they are told once, until the fault is gone. */
export const askPeople = async (
  collaborators: Pick<ReconcileCollaborators, 'database'>,
  call: TargetCall,
  target: TargetOf,
  fix: Pick<Fix, 'id' | 'fingerprint'>,
  patch: FixPatch & { message: string },
): Promise<NextStep> => {
  const { fence, ...key } = call;
  const message = patch.message.slice(0, mostMessage);
  const from: FixState[] = ['diagnosing', 'checking', 'applying', 'asked'];
  const moved = await moveFix(collaborators.database, { ...key, id: fix.id }, from, 'asked', { ...patch, message }, fence, (executor) =>
    tellPeople(executor, target, fix.id, `a person has to look at ${faultAt(fix.fingerprint)}: ${message}`),
  );
  if (moved !== 'moved') return stopped;
  await reportPhase(collaborators, call, 'asking', message);
  return lookAgain;
};

/**
 * An undo failed: nobody knows what is there, so nothing is changed any more until a person lifts it, and people are called. A rule that led
 * there acts on no other target either.
 */
export const freeze = async (
  collaborators: Pick<ReconcileCollaborators, 'database' | 'learn'>,
  { fence, ...key }: TargetCall,
  target: TargetOf,
  fix: Pick<Fix, 'id' | 'plan'>,
  why: string,
): Promise<NextStep> => {
  const { database } = collaborators;
  const objects = [...new Set((fix.plan?.steps ?? []).map(({ operation }) => writeObjectRef(operation.object)))].join(', ');
  const message = `An undo failed and the target is frozen: ${why} Touched: ${objects}.`.slice(0, mostMessage);
  if (!(await freezeTarget(database, key, fence, message))) return stopped;
  const closed = await closeFix(database, { ...key, id: fix.id }, 'frozen', { message }, fence, async (executor) => {
    await announceEnded(executor, fix.id);
    await tellPeople(executor, target, `${fix.id}/frozen`, message);
  });
  if (closed === 'lost') return stopped;
  await learnFrom(collaborators, fix.id);
  return lookAgain;
};
