import type { ArgumentFacts } from '../../policy/argument-facts.ts';
import { recordedTexts } from '../../policy/recorded-context.ts';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { isPlatformError, toPlatformError } from '../../schema/errors.ts';
import { countRefusal } from '../../store/ledger.ts';
import { type Decision, newDecisionId } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Carried } from '../labels/create-label-book.ts';
import { type MaskCounts, maskFacts } from '../mask/create-masker.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { Reply } from '../mcp/message.ts';
import { traceOf } from '../mcp/trace-context.ts';
import { actorFacts, auditWho } from '../principal.ts';
import { putOnRecord } from '../put-on-record.ts';
import { recordDecision } from '../record-decision.ts';
import type { Source } from './exposed.ts';
import { tenancyOf } from './record-listing.ts';

/** One use of a prompt or resource, as far as it has come. */
export type Use = {
  readonly action: 'getPrompt' | 'readResource' | 'complete';
  /** What the audit calls it: `Prompt/NAME` or `Resource/URI`, as the caller named it until its server is known. */
  name: string;
  readonly startedAt: number;
  source?: Source;
  decision?: Decision;
  facts?: ArgumentFacts;
  isolation?: number;
  /** How much was masked of the answer. */
  masked?: MaskCounts;
  /** What the caller has read so far; missing where its org has no labels. */
  carried?: Carried;
};

const refusals = new Set([
  'prompt_unknown',
  'resource_unknown',
  'argument_refused',
  'login_stale',
  'request_invalid',
  'halted',
  'rate_exhausted',
]);
const longestName = 512;

const eventOf = (
  gateway: GatewayContext,
  request: ClientRequest,
  { action, name, startedAt, source, decision, facts, isolation, masked }: Use,
  rest: Pick<NewAuditEvent, 'kind' | 'decision' | 'outcome'> & Partial<NewAuditEvent>,
): NewAuditEvent => {
  const tenancy = source?.tenancy ?? tenancyOf(request);
  const who = auditWho(request.principal);
  const recorded = recordDecision(gateway, tenancy, decision, who.run);
  return {
    ...tenancy,
    ...who,
    action,
    decisionId: decision?.decisionId ?? newDecisionId(),
    policies: [...(decision?.policies ?? [])],
    policyVersion: decision?.policyVersion ?? null,
    traceId: traceOf(request).traceId,
    toolset: source?.toolset ?? (request.endpoint.kind === 'toolset' ? request.endpoint.toolset : null),
    server: source?.server.metadata.name ?? null,
    resource: name.slice(0, longestName),
    durationMs: gateway.now() - startedAt,
    basis: recorded.basis,
    facts: {
      ...actorFacts(request.principal),
      ...(facts ? { paths: recordedTexts(facts.paths), hosts: recordedTexts(facts.hosts), bytes: facts.bytes } : {}),
      ...recorded.facts,
      ...(isolation === undefined ? {} : { isolation }),
      ...maskFacts(masked),
    },
    ...rest,
  };
};

const outcomeOf = (reply: Reply): NewAuditEvent['outcome'] => {
  if (reply.kind === 'error') return 'error';
  return reply.result.resultType === 'input_required' ? 'pending' : 'ok';
};

/** A use that goes to a server, within the rates that hold for it. */
export const withinRates = (
  { rates }: GatewayContext,
  { principal }: ClientRequest,
  server: Source['server'],
  work: () => Promise<Reply>,
): Promise<Reply> => (rates.isEmpty ? work() : rates.within(principal, server, undefined, work));

/** Wraps a use: each leaves one row, refusals too; no row, no use. */
export const recordUse = async (gateway: GatewayContext, request: ClientRequest, use: Use, work: () => Promise<Reply>): Promise<Reply> => {
  const { audit, database, logger } = gateway;
  audit.assertWritable();
  try {
    const reply = await work();
    const event = eventOf(gateway, request, use, { kind: 'call', decision: 'allow', outcome: outcomeOf(reply) });
    putOnRecord(gateway, event, traceOf(request));
    return reply;
  } catch (thrown) {
    const error = toPlatformError(thrown);
    if (!isPlatformError(thrown)) logger.error({ err: thrown, action: use.action }, 'a use failed inside');
    // what was cut had begun
    const isRefusal = refusals.has(error.code) && error.facts.wasSent !== true;
    const event = eventOf(gateway, request, use, {
      kind: isRefusal ? 'refusal' : 'call',
      decision: isRefusal ? 'deny' : 'allow',
      outcome: isRefusal ? 'refused' : request.signal.aborted || error.code === 'halted' ? 'cancelled' : 'error',
      errorCode: error.code,
    });
    putOnRecord(gateway, event, traceOf(request));
    if (isRefusal && !error.isRetryable && request.principal.kind === 'agent')
      await countRefusal(database, request.principal.agentId).catch(() => undefined);
    throw error;
  }
};
