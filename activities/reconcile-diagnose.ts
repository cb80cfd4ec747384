import { createHash } from 'node:crypto';
import { Context } from '@temporalio/activity';
import type { JsonObject } from '../agents/json.ts';
import { charactersPerToken } from '../agents/shorten.ts';
import { boundsOf, isForeign } from '../policy/fix-bounds.ts';
import { buildEvidence, mostEvidenceBytes } from '../reconcile/evidence/build-evidence.ts';
import type { BuiltEvidence, EvidenceBundle, EvidenceInput } from '../reconcile/evidence/evidence-bundle.ts';
import { evidenceMask } from '../reconcile/evidence/evidence-mask.ts';
import { findOrders } from '../reconcile/evidence/find-orders.ts';
import { readProposal } from '../reconcile/read-proposal.ts';
import type { TargetOf } from '../reconcile/target-port.ts';
import { isPlatformError } from '../schema/errors.ts';
import { writeObjectRef } from '../schema/reconcile/object-ref.ts';
import type { Proposal } from '../schema/reconcile/plan.ts';
import { proposalJsonSchema } from '../schema/reconcile/proposal-schema.ts';
import type { ModelSpec } from '../schema/resources/model.ts';
import type { ParkReason } from '../schema/run.ts';
import { getAgent } from '../store/agents.ts';
import type { ContentStore } from '../store/contents.ts';
import type { Database } from '../store/database.ts';
import type { OverWhat } from '../store/escalation-budget.ts';
import { findResource } from '../store/resources.ts';
import { cancelOpenAgents, moveRun } from '../store/runs.ts';
import { type AgentEnded, park } from './agent-context.ts';
import { withEscalationBudget } from './budgeted-gateway.ts';
import { createCallModel } from './call-model.ts';
import { createCallTool } from './call-tool.ts';
import { openDiagnosisRun } from './diagnosis-run.ts';
import type { GatewayClient } from './gateway-client.ts';
import { createOpenAgent } from './open-agent.ts';
import { createTranscriptStore } from './transcript-store.ts';

export type DiagnosisInput = Pick<EvidenceInput, 'drift' | 'why' | 'conflicts' | 'desired' | 'observation' | 'earlier'> & {
  fixId: string;
  target: TargetOf;
  /** The person who declared the target as it is now, on whose behalf it is diagnosed. */
  owner: string;
  /** Of the decision by which that person may use the role; the issuer mints for no run without one. */
  launchDecisionId: string;
};

/**
 * What came of a diagnosis. `asks`: a person has to look, with the evidence as far as there is: no role is named, it cannot be had, a budget
 * or the time is over, its answers were of no use, or what it needs is halted or needs a person.
 */
export type DiagnosisResult = {
  evidenceDigest: string;
  /** Items in which somebody speaks to whoever reads them; people are told. */
  flagged: number;
  agentId: string;
  costMicroUsd: number;
  modelCalls: number;
} & ({ kind: 'proposal'; proposal: Proposal; role: string; model: string } | { kind: 'asks'; reason: AskReason; detail: string });
export type AskReason = ParkReason | 'no-role' | `budget-${OverWhat}` | 'halted' | 'cancelled';

type Shown = { evidence: EvidenceBundle; evidenceDigest: string };

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Of what a model may read, so much is left for instructions, the schema of the answer, and what it reads by itself. */
const shareOfContext = 0.6;
const fewestBytes = 4096;

const bytesFor = ({ contextTokens, maxOutputTokens }: ModelSpec, type: TargetOf['spec']['type']): number => {
  const schemaBytes = JSON.stringify(proposalJsonSchema(type)).length * 2;
  const free = (contextTokens - maxOutputTokens) * charactersPerToken - schemaBytes;
  return Math.max(fewestBytes, Math.min(mostEvidenceBytes, Math.floor(free * shareOfContext)));
};

/** What is wrong with a proposal beyond its schema: something too large, or of another target. */
const complaintsAbout = ({ spec, name }: TargetOf, value: unknown): string[] => {
  const read = readProposal(JSON.stringify(value));
  if (!read.ok) return [read.complaint];
  const bounds = boundsOf(spec);
  return read.proposal.operations.flatMap((operation, index) =>
    isForeign(bounds, operation) ? [`operations/${index}: ${writeObjectRef(operation.object)} is not of the target ${name}`] : [],
  );
};

/**
 * Has a drift diagnosed that no rule knows: by an agent of the target's role, which reads through the gateway under an identity of its own
 * and answers with a typed proposal, or not at all. Tried again after a kill it goes on from where it was, under the same operation ids.
 * Call it in an activity: it says that it is alive, and ends where it is cancelled.
 * @param options.redact - telemetry's `redactor.text`
 * @throws {PlatformError} what may pass, such as `server_unavailable`, for Temporal to try again
 */
export const createDiagnosis =
  ({
    database,
    contents,
    gateway,
    redact,
  }: {
    database: Database;
    contents: ContentStore;
    gateway: GatewayClient;
    redact: (text: string) => string;
  }) =>
  async (input: DiagnosisInput): Promise<DiagnosisResult> => {
    const { fixId, target, owner, launchDecisionId } = input;
    const { org, project, name, spec } = target;
    const place = { org, project };
    const { escalation } = spec;
    const evidenceInput: EvidenceInput = { ...input, redact, digest: sha256 };
    const build = async (mostBytes: number): Promise<BuiltEvidence> => {
      const built = buildEvidence({ ...evidenceInput, mostBytes });
      // by the digest of the store, which is keyed, whoever may can read it later
      return { ...built, digest: await contents.put(place, built.text, 'evidence') };
    };
    const role = escalation.role && (await findResource(database, { ...place, kind: 'AgentRole', name: escalation.role }));
    const model = role && (await findResource(database, { ...place, kind: 'Model', name: role.spec.model }));
    if (!role || !model) {
      const { digest, bundle } = await build(mostEvidenceBytes);
      const detail = escalation.role ? `There is no role ${escalation.role} with a model.` : 'The target names no role that diagnoses.';
      const nothing = { agentId: '', costMicroUsd: 0, modelCalls: 0 };
      return { kind: 'asks', reason: 'no-role', detail, evidenceDigest: digest, flagged: bundle.flagged.length, ...nothing };
    }

    const built = await build(bytesFor(model.spec, spec.type));
    const { agentId, run } = await openDiagnosisRun(
      { database, contents },
      {
        ...{ target, fixId, owner, launchDecisionId, model: model.spec },
        role: { name: role.metadata.name, spec: role.spec },
        input: { evidence: built.bundle as unknown as JsonObject, evidenceDigest: built.digest },
      },
    );

    // an attempt that was made before goes on with what it was shown then
    const begun = (await contents.getJson(place, (await getAgent(database, agentId)).inputDigest)) as Shown;
    const { evidenceDigest, evidence: bundle } = begun;

    const mask = evidenceMask(evidenceInput);
    const home = await findResource(database, { ...place, kind: 'Project', name: project });
    const budget = withEscalationBudget(gateway, {
      database,
      key: { ...place, target: name, fixId },
      limits: { ...escalation, projectCostMicroUsdPerDay: home?.spec.escalation?.costMicroUsdPerDay },
      model: model.spec,
    });
    const deadline = AbortSignal.timeout(escalation.seconds * 1000);
    const within = <Caller extends { signal: AbortSignal }>(caller: Caller): Caller => ({
      ...caller,
      signal: AbortSignal.any([caller.signal, deadline]),
    });
    const reading: GatewayClient = {
      ...budget.gateway,
      complete: (caller, ...rest) => budget.gateway.complete(within(caller), ...rest),
      callTool: async (caller, call) => {
        const answer = await gateway.callTool(within(caller), call);
        // a log may hold what the evidence does not
        return { failed: answer.failed, text: mask(answer.text) };
      },
    };
    const transcripts = createTranscriptStore(contents);
    const agent = { database, contents, transcripts, gateway: reading };
    const openAgent = createOpenAgent(agent);
    const callModel = createCallModel(agent, (value) => complaintsAbout(target, value));
    const callTool = createCallTool(agent);

    type Ending = AgentEnded | { kind: 'stopped'; reason: AskReason; detail: string };
    const drive = async (): Promise<Ending> => {
      const opened = await openAgent({ agentId });
      if (opened.kind === 'ended') return opened;
      let { transcriptDigest, pendingCalls } = opened;
      for (;;) {
        const step = pendingCalls > 0 ? await callTool({ agentId, transcriptDigest }) : await callModel({ agentId, transcriptDigest });
        if (step.kind === 'ended') return step;
        if (step.kind === 'waits') {
          const isHalted = step.approvalId === 'halt';
          const detail = isHalted ? 'What the diagnosis needs is halted.' : 'The diagnosis wants a call that a person has to allow.';
          await park(database, agentId, 'not_authorised', detail);
          return { kind: 'stopped', reason: isHalted ? 'halted' : 'not_authorised', detail };
        }
        transcriptDigest = step.transcriptDigest;
        pendingCalls = step.kind === 'calls' ? step.calls.length : step.kind === 'step' ? step.pendingCalls : 0;
      }
    };

    let ending: Ending;
    try {
      ending = await drive();
    } catch (error) {
      if (Context.current().cancellationSignal.aborted) {
        await cancelOpenAgents(database, run);
        await moveRun(database, run, ['running'], 'cancelled');
        throw error;
      }
      if (!deadline.aborted || !isPlatformError(error)) throw error;
      ending = await park(database, agentId, 'limit_time', `It took longer than the ${escalation.seconds} seconds of the target.`);
    }

    const ended = await getAgent(database, agentId);
    // counted in what was kept of all attempts: what the model read before a kill it has read
    const read = ended.transcriptDigest === null ? [] : (await transcripts.load(place, ended.transcriptDigest)).entries;
    const flaggedResults = read.filter((entry) => entry.kind === 'result' && findOrders(entry.text).length > 0).length;
    const facts = {
      ...{ evidenceDigest, agentId, flagged: bundle.flagged.length + flaggedResults },
      ...{ costMicroUsd: ended.costMicroUsd, modelCalls: ended.steps },
    };
    if (ending.kind === 'ended' && ending.state === 'done' && ended.outputDigest !== null) {
      const read = readProposal(await contents.get(place, ended.outputDigest));
      if (read.ok) {
        await moveRun(database, run, ['running'], 'succeeded');
        return { kind: 'proposal', proposal: read.proposal, role: role.metadata.name, model: role.spec.model, ...facts };
      }
    }
    await moveRun(database, run, ['running'], 'failed', ended.reason);
    const refusedFor = budget.refusedFor();
    const reason: AskReason = refusedFor
      ? `budget-${refusedFor}`
      : ending.kind === 'stopped'
        ? ending.reason
        : (ended.reason ?? (ending.state === 'cancelled' ? 'cancelled' : 'answer_invalid'));
    return { kind: 'asks', reason, detail: ended.detail ?? '', ...facts };
  };
