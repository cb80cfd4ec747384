import { rewrittenFields, withoutFields } from '../../reconcile/rewritten-fields.ts';
import type { ApplyContext } from '../../reconcile/target-port.ts';
import type { Operation } from '../../schema/reconcile/operation.ts';
import type { DryRun, StepOutcome } from '../../schema/reconcile/plan.ts';
import { KubernetesFailure, type KubernetesObject } from './kubernetes-client.ts';
import type { KubernetesConnection, KubernetesTarget } from './kubernetes-connection.ts';
import type { KubernetesConnections } from './kubernetes-connections.ts';
import { differences, type FieldChange } from './kubernetes-difference.ts';
import { halfDone } from './kubernetes-reapply.ts';
import { digestOf, isDoneTo, operationAnnotation, stateOf } from './kubernetes-state.ts';
import type { Write } from './kubernetes-write.ts';
import { type Writings, writtenRef } from './kubernetes-writing.ts';

type Failed = Extract<StepOutcome, { kind: 'failed' }>;

/** Status moves an object's version on without a change of what it is to be; so often it is looked at again. */
const mostLooks = 6;

const failed = (reason: Failed['reason'], message: string): Failed => ({ kind: 'failed', reason, message });
const isFieldConflict = ({ status, message }: KubernetesFailure): boolean => status === 409 && /^Apply failed with/.test(message);
const isVersionConflict = (failure: KubernetesFailure): boolean => failure.status === 409 && !isFieldConflict(failure);

const outcomeOf = (failure: KubernetesFailure): StepOutcome => {
  const { status, message } = failure;
  if (isFieldConflict(failure)) return failed('conflict', message);
  if (status === 404 || status === 409) return failed('precondition', message);
  if (status === 401 || status === 403) return failed('refused', message);
  if (status === 400 || status === 415 || status === 422) return failed('invalid', message);
  return { kind: 'unknown', message };
};

const refusedDryRun = (reason: Failed['reason'], message: string): DryRun => ({
  ok: false,
  reason: reason === 'precondition' || reason === 'fenced' ? 'changed' : reason,
  message,
});
const dryRunOf = (failure: KubernetesFailure): DryRun => {
  const outcome = outcomeOf(failure);
  if (outcome.kind === 'failed') return refusedDryRun(outcome.reason, outcome.message);
  return { ok: false, reason: 'unreachable', message: failure.message };
};

const markOf = (live: KubernetesObject | undefined): string | undefined => live?.metadata.annotations?.[operationAnnotation];

const unmet = (
  { precondition, rewritten }: Pick<ApplyContext, 'precondition' | 'rewritten'>,
  live: KubernetesObject | undefined,
): string | undefined => {
  if (precondition.kind === 'none') return undefined;
  if (precondition.kind === 'absent') return live ? 'it is there now' : undefined;
  if (!live) return 'it is no longer there';
  if (live.metadata.uid !== precondition.uid) return 'it was made anew since';
  const state = stateOf(live);
  const isSame =
    live.metadata.resourceVersion === precondition.version ||
    digestOf(state) === precondition.hash ||
    (rewritten !== undefined && digestOf(withoutFields(state, rewritten.paths)) === rewritten.hash);
  return isSame ? undefined : 'somebody changed it since the plan was made';
};

/** Does operations, and asks what they would do. */
export const createKubernetesApply = ({
  connections,
  writings,
  now,
}: {
  connections: KubernetesConnections;
  writings: Writings;
  now: () => Date;
}) => {
  const applied = (live: KubernetesObject): StepOutcome => ({
    kind: 'applied',
    version: String(live.metadata.resourceVersion),
    hash: digestOf(stateOf(live)),
    uid: String(live.metadata.uid),
    at: now().toISOString(),
  });

  /** What was deleted is nothing afterwards. */
  const deleted = (uid: unknown): StepOutcome => ({ kind: 'applied', version: '', hash: '', uid: String(uid), at: now().toISOString() });

  const pathOf = (connection: KubernetesConnection, target: KubernetesTarget, operation: Operation, signal: AbortSignal) =>
    connection.resources.path(writtenRef(target, operation), signal);

  const read = async ({ client }: KubernetesConnection, path: string, signal: AbortSignal): Promise<KubernetesObject | undefined> => {
    try {
      return await client.send({ path, signal });
    } catch (error) {
      if (error instanceof KubernetesFailure && error.status === 404) return undefined;
      throw error;
    }
  };

  type Sending = { connection: KubernetesConnection; path: string; signal: AbortSignal; live: KubernetesObject | undefined };

  /** Sends the writes one after another; each only while the target is still ours. */
  const sendAll = async (
    first: Write,
    changes: readonly FieldChange[],
    { connection, path, signal, live }: Sending,
    { operationId, holdsFence }: ApplyContext,
  ): Promise<StepOutcome> => {
    let answer: KubernetesObject = live;
    let isAnswered = true;
    let isGone = false;
    for (let write: Write | undefined = first; write; write = write.next?.(answer)) {
      if (!(await holdsFence())) return failed('fenced', 'a later holder has taken the target');
      const { method, contentType, body, query } = write;
      try {
        const sent = await connection.client.send({
          method,
          path,
          body,
          signal,
          ...(contentType ? { contentType } : {}),
          ...(query ? { query } : {}),
        });
        isGone = method === 'DELETE';
        answer = isGone ? live : sent;
      } catch (error) {
        if (!(error instanceof KubernetesFailure) || !error.mayHaveHappened) throw error;
        // the answer is lost, not the question: the object's mark says whether it was done
        const seen = await read(connection, path, signal).catch(() => undefined);
        signal.throwIfAborted();
        if (!isDoneTo(seen, operationId)) throw error;
        answer = seen;
        isAnswered = false;
      }
    }
    if (isGone) return deleted(live?.metadata.uid);
    // what was read later may hold what a person has written since: only an answer to our own request tells who rewrote
    const rewritten = isAnswered ? rewrittenFields(changes, stateOf(answer), digestOf) : undefined;
    return { ...applied(answer), ...(rewritten ? { rewritten } : {}) };
  };

  const tryOnce = async (target: KubernetesTarget, operation: Operation, context: ApplyContext): Promise<StepOutcome> => {
    const { operationId, isRetry = false, precondition, readState, signal } = context;
    const connection = await connections.of(target);
    const path = await pathOf(connection, target, operation, signal);
    const live = await read(connection, path, signal);
    if (live && isDoneTo(live, operationId) && !live.metadata.deletionTimestamp) return applied(live);
    if (!live && (operation.op === 'prune' || operation.op === 'remove')) {
      // what is gone bears no mark: whose doing that was only the earlier try tells
      const uid = precondition.kind === 'version' ? precondition.uid : '';
      return isRetry ? deleted(uid) : { kind: 'unchanged', at: now().toISOString() };
    }
    // of a controller that is revived the precondition speaks of the object that waits for it
    const fault = markOf(live) === halfDone(operationId) || operation.op === 'reviveController' ? undefined : unmet(context, live);
    if (fault) return failed('precondition', fault);
    const writing = await writings(target, operation, live, { connection, operationId, precondition, readState, signal });
    if (writing.kind === 'not') return failed(writing.reason, writing.message);
    if (writing.kind === 'nothing') return { kind: 'unchanged', at: now().toISOString() };
    return sendAll(writing.write, writing.changes, { connection, path, signal, live }, context);
  };

  const dryRunOnce = async (target: KubernetesTarget, operation: Operation, signal: AbortSignal): Promise<DryRun> => {
    const connection = await connections.of(target);
    const path = await pathOf(connection, target, operation, signal);
    const live = await read(connection, path, signal);
    const readState = async () => undefined;
    const writing = await writings(target, operation, live, { connection, operationId: 'dry-run', readState, signal });
    if (writing.kind === 'nothing') return { ok: true, diff: [] };
    if (writing.kind === 'not') return refusedDryRun(writing.reason, writing.message);
    const { method, contentType, body, query } = writing.write;
    const asked = method === 'DELETE' ? { ...(body as object), dryRun: ['All'] } : body;
    const sent = await connection.client.send({
      method,
      path,
      body: asked,
      signal,
      query: { ...query, dryRun: 'All' },
      ...(contentType ? { contentType } : {}),
    });
    if (method === 'DELETE') return { ok: true, diff: writing.changes };
    if (!live) return { ok: true, diff: [{ path: '', after: stateOf(sent) }] };
    return { ok: true, diff: differences(stateOf(live), stateOf(sent)) };
  };

  return {
    apply: async (target: KubernetesTarget, operation: Operation, context: ApplyContext): Promise<StepOutcome> => {
      for (let look = 1; ; look += 1) {
        try {
          return await tryOnce(target, operation, context);
        } catch (error) {
          context.signal.throwIfAborted();
          if (!(error instanceof KubernetesFailure)) throw error;
          if (!isVersionConflict(error) || look === mostLooks) return outcomeOf(error);
        }
      }
    },

    dryRun: async (target: KubernetesTarget, operation: Operation, signal: AbortSignal): Promise<DryRun> => {
      for (let look = 1; ; look += 1) {
        try {
          return await dryRunOnce(target, operation, signal);
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof KubernetesFailure)) throw error;
          if (!isVersionConflict(error) || look === mostLooks) return dryRunOf(error);
        }
      }
    },
  };
};
