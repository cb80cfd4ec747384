import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { Endpoint } from '../../schema/mcp-endpoint.ts';
import type { Declared } from '../../store/declared.ts';
import type { Principal } from '../principal.ts';
import type { Exposed, Source } from './exposed.ts';
import { type SearchTool, type SearchTools, searchToolsOf } from './search-tools.ts';
import { maxNameLength, tableOfToolset } from './toolset-table.ts';

/** What an endpoint exposes; policies have not yet been asked. */
export type EndpointTable = {
  sources: readonly Source[];
  tools: ReadonlyMap<string, Exposed>;
  prompts: ReadonlyMap<string, Exposed>;
  /** In the order of the sources, under the servers' own URI templates. */
  templates: readonly Exposed[];
  /** What toolsets that expose `search` list in place of their tools. */
  search: SearchTools;
};
export type EndpointTableResult = { ok: true; table: EndpointTable } | { ok: false; reason: 'unknown' | 'conflict'; detail: string };

const projectsOf = (declared: Declared, principal: Principal): Tenancy[] =>
  principal.kind === 'agent'
    ? [{ org: principal.org, project: principal.project }]
    : declared
        .projects()
        .filter(({ org }) => org === principal.org)
        .sort((a, b) => (a.project < b.project ? -1 : 1));

/**
 * Everything behind the toolsets of some projects, as `project__toolset__name`. Names of projects and toolsets have no `_`, so a
 * name says by itself which item it is, and nothing that is declared elsewhere can take it over.
 */
const tableOfEverything = (declared: Declared, projects: readonly Tenancy[]): EndpointTable => {
  const sources: Source[] = [];
  const templates: Exposed[] = [];
  const tools = new Map<string, Exposed>();
  const prompts = new Map<string, Exposed>();
  const search = new Map<string, SearchTool>();
  for (const tenancy of projects)
    for (const { metadata } of declared.list('Toolset', tenancy)) {
      const result = tableOfToolset(declared, tenancy, metadata.name);
      if (!result.ok) continue;
      const prefix = `${tenancy.project}__${metadata.name}__`;
      if (result.table.search.size > 0)
        for (const [name, tool] of searchToolsOf(tenancy, metadata.name, prefix)) if (name.length <= maxNameLength) search.set(name, tool);
      const keyed = <Item extends Source>(item: Item): Item => ({ ...item, key: `${tenancy.project}.${metadata.name}.${item.part.name}` });
      for (const [from, to] of [
        [result.table.tools, tools],
        [result.table.prompts, prompts],
      ] as const)
        for (const item of from.values()) {
          const name = `${prefix}${item.name}`;
          // one name that a client does not take can cost it the whole list
          if (name.length <= maxNameLength) to.set(name, { ...keyed(item), name, shown: { ...item.shown, name } });
        }
      sources.push(...result.table.sources.map(keyed));
      templates.push(...result.table.templates.map(keyed));
    }
  return { sources, tools, prompts, templates, search };
};

const everything = new WeakMap<Declared, Map<string, EndpointTable>>();

/** The table of an endpoint for a caller; made once for each view of what is declared. */
export const tableOf = (declared: Declared, endpoint: Endpoint, principal: Principal): EndpointTableResult => {
  if (endpoint.kind === 'toolset')
    return endpoint.tenancy.org === principal.org
      ? tableOfToolset(declared, endpoint.tenancy, endpoint.toolset)
      : { ok: false, reason: 'unknown', detail: `There is no toolset ${endpoint.path.slice('/mcp/'.length)} that you may use.` };
  let tables = everything.get(declared);
  if (!tables) {
    tables = new Map();
    everything.set(declared, tables);
  }
  const projects = projectsOf(declared, principal);
  const key = projects.map(({ org, project }) => `${org}/${project}`).join(' ');
  let table = tables.get(key);
  if (!table) {
    table = tableOfEverything(declared, projects);
    tables.set(key, table);
  }
  return { ok: true, table };
};

/** @throws {PlatformError} `not_found`, `conflict` where the toolset cannot be served; why is in its condition, for those who may read that */
export const requiredTable = (declared: Declared, endpoint: Endpoint, principal: Principal): EndpointTable => {
  const result = tableOf(declared, endpoint, principal);
  if (result.ok) return result.table;
  throw result.reason === 'conflict'
    ? new PlatformError(
        'conflict',
        'The toolset cannot be served as it is declared; its condition says why (`quarterdeck describe toolset NAME`).',
      )
    : new PlatformError('not_found', result.detail);
};
