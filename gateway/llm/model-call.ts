import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { PlatformError } from '../../schema/errors.ts';
import { defaultTenancy, type Tenancy } from '../../schema/ids.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { type Decision, newDecisionId } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Carried } from '../labels/create-label-book.ts';
import type { UnderWay } from '../limits/under-way.ts';
import type { MaskCounts, Masker } from '../mask/create-masker.ts';
import type { Trace } from '../mcp/trace-context.ts';
import type { Principal } from '../principal.ts';
import type { ChatRequest } from './chat-request.ts';
import type { Spent } from './usage.ts';

/** What is left to be sent when the steps are through: all of an answer, or the last bytes of one that was streamed. */
export type Answer = { kind: 'whole'; body: Buffer } | { kind: 'streamed'; tail: Buffer };

/** One request under `/v1` on its way through the steps; each step adds what it found out. */
export type ModelCall = {
  readonly gateway: GatewayContext;
  readonly action: 'invokeModel' | 'listModels';
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly trace: Trace;
  readonly startedAt: number;
  /** Aborted when the caller leaves, or stops reading. */
  readonly caller: AbortController;
  /** Connections to providers. */
  readonly dispatcher: Dispatcher;
  /** How long a caller may take to read what waits for it. */
  readonly stallMs: number;
  decisionId: string;
  principal?: Principal;
  /** The model by the name that the caller gave. */
  name?: string;
  operationId?: string;
  chat?: ChatRequest;
  model?: StoredResource<'Model'>;
  decision?: Decision;
  /** From the brake on; says so when it is pulled meanwhile. */
  underWay?: UnderWay;
  /** What the caller has read so far; missing where its org has no labels. */
  carried?: Carried;
  /** Set as soon as a provider may have begun to work. */
  isForwarded?: boolean;
  /** What the provider charges for; undefined where the call cost nothing. */
  spent?: Spent;
  /** For its answer; undefined where nothing is masked. */
  mask?: Masker;
  /** How much was masked. */
  masked?: MaskCounts;
  /** Further facts for the audit row; no content. */
  readonly facts: Record<string, string | number | boolean>;
};

/** A step does its one thing and hands on; what it throws is a refusal or a failure. */
export type ModelCallStep = (call: ModelCall, next: () => Promise<Answer>) => Promise<Answer>;

/** Thrown when there is nobody left to answer; never rendered. */
export class CallerLeft extends Error {}

export const newModelCall = (given: Omit<ModelCall, 'decisionId' | 'facts'>): ModelCall => ({
  ...given,
  decisionId: newDecisionId(),
  facts: {},
});

/** Runs steps from the first to the last; the last one answers. */
export const runSteps = (steps: readonly ModelCallStep[], call: ModelCall): Promise<Answer> => {
  const run = (index: number): Promise<Answer> => required(steps[index], 'a next step')(call, () => run(index + 1));
  return run(0);
};

/** What an earlier step has put down; its absence is a mistake in the list of steps. */
export const required = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw new PlatformError('internal', `The steps of a model call are out of order: ${what} is missing.`);
  return value;
};

/** Keeps a decision and its id: the caller, the audit and the log speak of the same one. */
export const decided = (call: ModelCall, decision: Decision): Decision => {
  call.decision = decision;
  call.decisionId = decision.decisionId;
  return decision;
};

/** Where the call's audit row belongs: to the model's project, or to the caller's where no model was found. */
export const tenancyOf = ({ model, principal }: ModelCall): Tenancy => {
  if (model) return { org: model.metadata.org, project: model.metadata.project };
  if (!principal) return defaultTenancy;
  return { org: principal.org, project: principal.kind === 'agent' ? principal.project : defaultTenancy.project };
};
