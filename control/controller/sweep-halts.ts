import { indexHalts } from '../../policy/halt-index.ts';
import { toPlatformError } from '../../schema/errors.ts';
import { haltLifted } from '../../schema/workflow-contract.ts';
import type { Database } from '../../store/database.ts';
import { listHalts } from '../../store/halts.ts';
import { listHaltedAgents } from '../../store/tell-agents.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { TellAgent } from './sweep-approvals.ts';

/**
 * Wakes the workflows of agents that wait because something was halted, as soon as nothing is in their way any more. They are told until
 * they have gone on: a signal that is lost is sent again by the next sweep. What of them is a server or model that is halted, they find out
 * by themselves when they ask again.
 */
export const createHaltSweep = ({
  database,
  tellAgent,
  logger,
}: {
  database: Database;
  tellAgent: TellAgent;
  logger: Logger;
}): (() => Promise<void>) => {
  return async () => {
    const waiting = await listHaltedAgents(database);
    if (waiting.length === 0) return;
    const halts = await listHalts(database);
    const index = indexHalts(halts);
    // which server or model an agent was on its way to is not on its row, so while one of its project is halted it is left to ask by itself
    const isHeldBack = (org: string, project: string): boolean =>
      halts.some((halt) => halt.org === org && halt.project === project && (halt.scope === 'server' || halt.scope === 'model'));
    for (const each of waiting)
      if (index.find(each) === undefined && !isHeldBack(each.org, each.project))
        await tellAgent({ agent: each.agent, approvalId: haltLifted }).catch((error) =>
          logger.warn(
            { code: toPlatformError(error).code, agent: each.agent },
            'an agent could not be told that it may go on; the next sweep tries again',
          ),
        );
  };
};
