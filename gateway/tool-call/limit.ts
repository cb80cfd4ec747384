import { PlatformError } from '../../schema/errors.ts';
import { reserve } from '../../store/ledger.ts';
import type { ToolCallStep } from './tool-call.ts';

/** Sets one call of the agent's limit aside before anything happens; a retry with the same operation id costs nothing more. */
export const limit: ToolCallStep = async (call, next) => {
  const { principal, gateway, operationId } = call;
  if (principal.kind === 'agent') {
    const reservation = await reserve(gateway.database, { agentId: principal.agentId, operationId, kind: 'tool', tokens: 0 });
    if (!reservation.ok)
      throw reservation.reason === 'ended'
        ? new PlatformError('run_ended', 'The agent run has ended; nothing more is called for it.', { facts: { reason: 'ended' } })
        : new PlatformError(
            'budget_exhausted',
            `The agent has used up a limit of its role (${reservation.reason}); \`quarterdeck fleet resume\` can raise it.`,
            {
              facts: { reason: reservation.reason },
            },
          );
  }
  return next();
};
