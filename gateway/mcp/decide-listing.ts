import { entityUid, toolEntities } from '../../policy/entities.ts';
import { qualifiedName } from '../../schema/ids.ts';
import { type Decision, decide } from '../decide.ts';
import type { GatewayContext } from '../gateway-context.ts';
import type { Principal } from '../principal.ts';
import type { ExposedTool } from './exposed-tools.ts';

/** The entity of a tool behind its toolset. `isolation` is what was proved of the server's cage, 0 before it runs. */
export const toolTarget = ({ tenancy, toolset, server, tool }: ExposedTool, isolation = 0) => ({
  tenancy,
  resource: entityUid('Tool', `${qualifiedName(tenancy, server.metadata.name)}/${tool.name}`),
  entities: toolEntities({ ...tool, ...tenancy, server: server.metadata.name, tool: tool.name, toolset, isolation }),
});

/** Whether a tool is on the caller's list at all. */
export const decideListing = (gateway: GatewayContext, principal: Principal, tool: ExposedTool): Decision =>
  decide(gateway, { principal, action: 'listTool', ...toolTarget(tool) });
