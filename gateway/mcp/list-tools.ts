import type { Tool } from '@modelcontextprotocol/server';
import { PlatformError } from '../../schema/errors.ts';
import { newDecisionId } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { auditWho, type Principal } from '../principal.ts';
import { decideListing } from './decide-listing.ts';
import type { Endpoint } from './endpoint.ts';
import { exposedTools } from './exposed-tools.ts';

/** The tools of an endpoint that policy lets this caller see, as pinned, in a stable order. One audit row a listing. */
export const listTools = (gateway: GatewayContext, principal: Principal, endpoint: Endpoint): Tool[] => {
  gateway.audit.assertWritable();
  const exposed = exposedTools(gateway.declared(), endpoint, principal);
  if (!exposed.ok)
    throw exposed.reason === 'conflict'
      ? new PlatformError(
          'conflict',
          'The toolset cannot be served as it is declared; its condition says why (`quarterdeck describe toolset NAME`).',
        )
      : new PlatformError('not_found', exposed.detail);
  const offered = [...exposed.tools.values()];
  const listed = offered.filter((tool) => decideListing(gateway, principal, tool).effect === 'allow');
  const tenancy =
    endpoint.kind === 'toolset'
      ? endpoint.tenancy
      : { org: principal.org, project: principal.kind === 'agent' ? principal.project : 'default' };
  gateway.audit.write({
    ...tenancy,
    ...auditWho(principal),
    kind: 'call',
    action: 'listTools',
    decision: 'allow',
    decisionId: newDecisionId(),
    toolset: endpoint.kind === 'toolset' ? endpoint.toolset : null,
    outcome: 'ok',
    facts: { offered: offered.length, listed: listed.length },
  });
  return listed.map(({ name, tool }) => ({ ...(tool.definition as Tool), name })).sort((a, b) => (a.name < b.name ? -1 : 1));
};
