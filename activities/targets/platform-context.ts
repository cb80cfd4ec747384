import type { Client } from '@temporalio/client';
import type { ApplyContext, TargetOf } from '../../reconcile/target-port.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { ObservedObject, Symptom } from '../../schema/reconcile/observation.ts';
import { apiVersion } from '../../schema/resources/metadata.ts';
import type { TargetSpecOf } from '../../schema/resources/reconcile-target.ts';
import type { Database } from '../../store/database.ts';
import type { VerifyPolicies } from '../../store/secrets/policy-signature.ts';
import { digestOf } from './kubernetes-state.ts';

export type PlatformTarget = TargetOf<TargetSpecOf<'platform'>>;
export type WatchItem = PlatformTarget['spec']['watch'][number];

/** How long something may be otherwise before it counts, in milliseconds: what the platform mends by itself is no drift. */
export type PlatformPatience = {
  /** Of a list of tools that was not looked at again; servers are looked at every half minute. */
  staleListMs: number;
  /** From a change of policies to their being in force everywhere; each gateway reads what is declared every five seconds. */
  policiesMs: number;
  /** From the last sign of an agent to its being missed; a fleet brings back what it lost by itself within a while. */
  agentMs: number;
  /** Since anybody asked a task queue for work; who waits at one asks at least every minute. */
  pollersMs: number;
  /** How long an order to processes may take. */
  orderMs: number;
  /** How long a call under way of an agent that is cancelled may take to end. */
  drainMs: number;
};
export const realPatience: PlatformPatience = {
  staleListMs: 120_000,
  policiesMs: 20_000,
  agentMs: 60_000,
  pollersMs: 90_000,
  orderMs: 20_000,
  drainMs: 30_000,
};

export type PlatformContext = {
  database: Database;
  /** Of the Temporal server that agents run on; absent where this process has none, and then runs and workers are unknown. */
  temporal?: Pick<Client, 'workflow' | 'workflowService' | 'options' | 'withDeadline'>;
  /** The same check that gateways make of what is published; absent where nothing is. */
  verifyPolicies?: VerifyPolicies;
  /** Task queues by their kind of work. */
  queues: { control: string; model: string; tool: string };
  patience: PlatformPatience;
  now: () => Date;
};

export type Change = { path: string; before?: ObservedObject['state']; after?: ObservedObject['state'] };

/** An operation on something that was just looked at, ready to be done or only shown. */
export type Deed = {
  changes: Change[];
  /** Whether it was begun under this operation id before, so that the thing need not be as it was. */
  isBegun: (operationId: string) => Promise<boolean>;
  /** @throws {PlatformRefusal} */
  run: (context: ApplyContext) => Promise<'done' | 'unchanged'>;
};

/** Why an operation cannot be done, or was not; `unknown` may have had an effect. */
export class PlatformRefusal extends Error {
  readonly reason: 'invalid' | 'refused' | 'precondition' | 'unknown';

  constructor(reason: PlatformRefusal['reason'], message: string) {
    super(message);
    this.name = 'PlatformRefusal';
    this.reason = reason;
  }
}

/** A part of the platform that does not say anything for so long says nothing. */
export const answerWithinMs = 15_000;

/** Nothing can be said of a part of the platform: of what is not seen nothing is missing. */
export class NothingSaid extends Error {}

/** Of a part of the platform: what there is of it. A thing that is declared is always among them, so none is ever missing by a mistake. */
export type PlatformPart = {
  /** @returns objects, in which everything that is wrong is a symptom */
  see(place: Tenancy, signal: AbortSignal): Promise<ObservedObject[]>;
};

export const platformRef = (kind: string, namespace: string, name: string) => ({ apiVersion, kind, namespace, name });

/**
 * One thing of the platform. `state` is what a precondition holds against and an undo goes back to, so it has nothing in it that changes from look to
 * look. What it shows moves its version on, and is no part of its hash: a thing that was put back is the same, however well it is by then.
 * @param more.isOurs - nothing declares it, and it may be taken away
 */
export const platformObject = (
  ref: ObservedObject['ref'],
  uid: string,
  state: ObservedObject['state'],
  symptoms: readonly Symptom[],
  { isOurs = false }: { isOurs?: boolean } = {},
): ObservedObject => {
  const codes = symptoms.map(({ code }) => code).sort();
  return {
    ...{ ref, uid, version: digestOf({ state, codes }), hash: digestOf(state), state, symptoms: [...symptoms], isOurs },
    ...{ health: symptoms.length === 0 ? 'healthy' : 'degraded', owners: [], deletingSince: '' },
  };
};

export const symptom = (code: string, message: string, count = 1): Symptom => ({ code, message: message.slice(0, 4096), count });
