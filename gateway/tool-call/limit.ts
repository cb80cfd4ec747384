import { PlatformError } from '../../schema/errors.ts';
import { reserve } from '../../store/ledger.ts';
import { argumentsDigest, operationConflict, required, type ToolCallStep } from './tool-call.ts';

/** Sets one call of the agent's limit aside before anything happens; a retry with the same operation id costs nothing more. */
export const limit: ToolCallStep = async (call, next) => {
  const { principal, gateway, operationId } = call;
  if (principal.kind !== 'agent') return next();
  const { server, tool } = required(call.tool, 'the tool');
  const reservation = await reserve(gateway.database, {
    agentId: principal.agentId,
    operationId,
    kind: 'tool',
    tokens: 0,
    callDigest: `${server.metadata.name}/${tool.name}/${argumentsDigest(call)}`,
  });
  if (reservation.ok) return next();
  const { reason } = reservation;
  if (reason === 'conflict') throw operationConflict(call);
  if (reason === 'ended')
    throw new PlatformError('run_ended', 'The agent run has ended; nothing more is called for it.', { facts: { reason } });
  throw new PlatformError(
    'budget_exhausted',
    `The agent has used up a limit of its role (${reason}); \`quarterdeck fleet resume\` can raise it.`,
    { facts: { reason } },
  );
};
