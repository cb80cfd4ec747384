import type { Tenancy } from '../../schema/ids.ts';
import type { StoredResource } from '../../schema/resource.ts';
import type { Declared } from '../../store/declared.ts';
import type { ToolDefinition } from '../../store/tool-definitions.ts';
import type { Principal } from '../principal.ts';
import type { Endpoint } from './endpoint.ts';

/** A tool under the name that callers see; routing goes by this table, never by splitting names. */
export type ExposedTool = { name: string; tenancy: Tenancy; toolset: string; server: StoredResource<'McpServer'>; tool: ToolDefinition };
export type ExposedTools =
  | { ok: true; tools: ReadonlyMap<string, ExposedTool> }
  | { ok: false; reason: 'unknown' | 'conflict'; detail: string };

/** The table of one toolset, of what its servers offer at this moment. */
export const toolsOfToolset = (declared: Declared, tenancy: Tenancy, name: string): ExposedTools => {
  const toolset = declared.find('Toolset', tenancy, name);
  if (!toolset)
    return { ok: false, reason: 'unknown', detail: `There is no toolset ${tenancy.org}/${tenancy.project}/${name} that you may use.` };
  const tools = new Map<string, ExposedTool>();
  for (const { name: serverName, tools: only } of toolset.spec.servers) {
    const server = declared.find('McpServer', tenancy, serverName);
    if (!server) continue;
    for (const tool of declared.toolsOf(tenancy, serverName)) {
      if (only && !only.includes(tool.name)) continue;
      // what is not as it was approved is used by nobody, and takes no name from what is
      if (tool.approvedHash === '' || tool.approvedHash !== tool.currentHash) continue;
      const exposedName = toolset.spec.naming === 'plain' ? tool.name : `${serverName}__${tool.name}`;
      const taken = tools.get(exposedName);
      if (taken && toolset.spec.conflicts === 'priority') continue;
      if (taken)
        return {
          ok: false,
          reason: 'conflict',
          detail: `Toolset ${name}: the servers ${taken.server.metadata.name} and ${serverName} both have a tool ${exposedName}. Set \`naming: prefix\` or \`conflicts: priority\`.`,
        };
      tools.set(exposedName, { name: exposedName, tenancy, toolset: name, server, tool });
    }
  }
  return { ok: true, tools };
};

const projectsOf = (declared: Declared, principal: Principal): Tenancy[] =>
  principal.kind === 'agent'
    ? [{ org: principal.org, project: principal.project }]
    : declared.projects().filter(({ org }) => org === principal.org);

/**
 * Everything behind the toolsets of the caller's projects, as `project__toolset__tool`. Names of projects and toolsets have no `_`, so a
 * name says by itself which tool it is, and nothing that is declared elsewhere can take it over.
 */
const toolsOfEverything = (declared: Declared, principal: Principal): ExposedTools => {
  const tools = new Map<string, ExposedTool>();
  for (const tenancy of projectsOf(declared, principal))
    for (const toolset of declared.list('Toolset', tenancy)) {
      const exposed = toolsOfToolset(declared, tenancy, toolset.metadata.name);
      if (!exposed.ok) continue;
      for (const tool of exposed.tools.values()) {
        const name = `${tenancy.project}__${toolset.metadata.name}__${tool.name}`;
        tools.set(name, { ...tool, name });
      }
    }
  return { ok: true, tools };
};

/** The table of an endpoint for a caller; policies have not yet been asked. */
export const exposedTools = (declared: Declared, endpoint: Endpoint, principal: Principal): ExposedTools => {
  if (endpoint.kind === 'everything') return toolsOfEverything(declared, principal);
  if (endpoint.tenancy.org !== principal.org)
    return { ok: false, reason: 'unknown', detail: `There is no toolset ${endpoint.path.slice('/mcp/'.length)} that you may use.` };
  return toolsOfToolset(declared, endpoint.tenancy, endpoint.toolset);
};
