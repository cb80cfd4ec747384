import { PlatformError } from '../../schema/errors.ts';
import { reserve } from '../../store/ledger.ts';
import type { Reply } from '../mcp/message.ts';
import type { AgentPrincipal } from '../principal.ts';
import { bytesOver } from './bytes-over.ts';
import { argumentsDigest, operationConflict, required, type ToolCall, type ToolCallStep } from './tool-call.ts';

const assertSize = ({ name, arguments: given }: ToolCall, most: number | undefined): void => {
  const bytes = most === undefined ? undefined : bytesOver(given, most);
  if (bytes !== undefined)
    throw new PlatformError(
      'request_too_large',
      `${name}: arguments of ${bytes} bytes are over the ${most} bytes of the agent's role; send less.`,
    );
};

const reserved = async (call: ToolCall, { agentId, limits }: AgentPrincipal, next: () => Promise<Reply>): Promise<Reply> => {
  const { gateway, operationId } = call;
  assertSize(call, limits.argumentBytes);
  const { server, pinned } = required(call.tool, 'the tool');
  const reservation = await reserve(gateway.database, {
    agentId,
    operationId,
    kind: 'tool',
    tokens: 0,
    callDigest: `${server.metadata.name}/${pinned.name}/${argumentsDigest(call)}`,
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

/**
 * Holds the call to the rates that are declared, and sets one call of the agent's limit aside before anything happens; a retry with the same
 * operation id costs nothing more of that.
 */
export const limit: ToolCallStep = (call, next) => {
  const { principal } = call.request;
  const { rates } = call.gateway;
  const reserving = principal.kind === 'agent' ? () => reserved(call, principal, next) : next;
  if (rates.isEmpty) return reserving();
  const { server, pinned } = required(call.tool, 'the tool');
  return rates.within(principal, server, pinned.name, reserving);
};
