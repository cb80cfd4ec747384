import type { ChatRequest } from '../agents/chat-request.ts';
import { PlatformError } from '../schema/errors.ts';
import type { ModelSpec } from '../schema/resources/model.ts';
import { getAgent } from '../store/agents.ts';
import type { Database } from '../store/database.ts';
import { chargeEscalation, type EscalationKey, type EscalationLimits, type OverWhat } from '../store/escalation-budget.ts';
import type { GatewayClient } from './gateway-client.ts';

/** Fewer bytes than a token usually has, as the gateway counts: an estimate is rather too high. */
const bytesPerToken = 3;

/** Micro-dollars that a call costs at most, on the dearest of the routes that it may take. */
export const worstCostMicroUsd = ({ routes }: Pick<ModelSpec, 'routes'>, request: ChatRequest): number => {
  const promptTokens = Math.ceil(Buffer.byteLength(JSON.stringify(request)) / bytesPerToken);
  const costs = routes.map(
    ({ price }) => (promptTokens * price.inputMicroUsdPerMillion + request.max_tokens * price.outputMicroUsdPerMillion) / 1_000_000,
  );
  return Math.ceil(Math.max(0, ...costs));
};

/**
 * The gateway as a diagnosis calls it: before each call of the model the worst that it may cost is set aside, of the escalation, of its
 * target's day and of its project's; afterwards what it cost, as the gateway put it down. Without enough left the call is not made.
 * @returns the client, and which limit a call was refused for
 */
export const withEscalationBudget = (
  gateway: GatewayClient,
  { database, key, limits, model }: { database: Database; key: EscalationKey; limits: EscalationLimits; model: ModelSpec },
): { gateway: GatewayClient; refusedFor: () => OverWhat | undefined } => {
  let refusedFor: OverWhat | undefined;
  const spentBy = async (agentId: string): Promise<number> => (await getAgent(database, agentId)).costMicroUsd;
  const complete: GatewayClient['complete'] = async (caller, request, operationId) => {
    const worst = worstCostMicroUsd(model, request);
    const charged = await chargeEscalation(database, key, (await spentBy(caller.agentId)) + worst, limits);
    if (!charged.ok) {
      refusedFor = charged.over;
      const whose = {
        escalation: 'of this escalation',
        day: `of today's escalations of the target ${key.target}`,
        'project-day': `of today's escalations of the project ${key.project}`,
      }[charged.over];
      throw new PlatformError('budget_exhausted', `The budget ${whose} does not cover another call of the model; a person has to look.`);
    }
    try {
      return await gateway.complete(caller, request, operationId);
    } finally {
      await chargeEscalation(database, key, await spentBy(caller.agentId));
    }
  };
  return { gateway: { ...gateway, complete }, refusedFor: () => refusedFor };
};
