import { approvedBy } from '../../policy/approval-entities.ts';
import type { McpTaskContent } from '../../store/mcp-tasks.ts';
import { type Decision, decide } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { flowOfItem } from '../labels/flow-of-item.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { actorFacts, auditWho } from '../principal.ts';
import { targetOf } from '../surface/decide-listing.ts';
import type { Exposed } from '../surface/exposed.ts';
import { tenancyOf } from '../surface/record-listing.ts';
import { viewOf } from '../surface/view.ts';
import { serverKeyOf } from './exchange-with-server.ts';

/** What a call was allowed for: enough to ask again, when its outcome is to be handed over later. */
export type ToolUse = NonNullable<McpTaskContent['asked']>;
export type StillUse = { ok: true; item: Exposed; decision: Decision } | { ok: false; reason: 'unknown' | 'refused'; decision: Decision };

/** What a call reads is carried by whichever client of its caller is handed the outcome. */
export const carryUse = async (gateway: GatewayContext, { principal, endpoint }: ClientRequest, { tool }: ToolUse): Promise<void> => {
  const { item } = viewOf(gateway, principal, endpoint).find('tool', tool);
  if (item) await gateway.labels.join(principal, flowOfItem(item).reads);
};

/**
 * Whether a call that was allowed when it began would be allowed now: its tool is there and approved, at the same server, and policy permits
 * these arguments at this moment. A refusal leaves a row.
 */
export const mayStillUse = (
  gateway: GatewayContext,
  request: ClientRequest,
  { tool, server, isolation, facts, approvers }: ToolUse,
): StillUse => {
  const { principal, endpoint } = request;
  const { item: found, decision } = viewOf(gateway, principal, endpoint).find('tool', tool);
  const item = found && serverKeyOf(found.server) === server ? found : undefined;
  const approved = approvers ? approvedBy(item?.tenancy.org ?? '', approvers) : {};
  const again = item
    ? decide(gateway, { principal, action: 'callTool', ...targetOf(item, isolation), facts: { arguments: facts, ...approved } })
    : decision;
  if (item && again.effect === 'allow') return { ok: true, item, decision: again };
  gateway.audit.write({
    ...(item?.tenancy ?? tenancyOf(request)),
    ...auditWho(principal),
    kind: 'refusal',
    action: 'followTask',
    decision: 'deny',
    decisionId: again.decisionId,
    policies: [...again.policies],
    toolset: item?.toolset ?? (endpoint.kind === 'toolset' ? endpoint.toolset : null),
    server: item?.server.metadata.name ?? null,
    tool: item?.pinned.name ?? tool.slice(0, 128),
    outcome: 'refused',
    errorCode: item ? 'argument_refused' : 'tool_unknown',
    facts: actorFacts(principal),
  });
  return { ok: false, reason: item ? 'refused' : 'unknown', decision: again };
};
