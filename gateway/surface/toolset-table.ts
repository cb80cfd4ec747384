import type { Tenancy } from '../../schema/ids.ts';
import { type ToolsetServer, type ToolsetSpec, ToolsetSpecSchema } from '../../schema/resources/toolset.ts';
import { isSearchToolName } from '../../schema/search-tools.ts';
import type { Declared } from '../../store/declared.ts';
import type { Definition } from '../../store/definition.ts';
import { type DefinitionKind, isUsable } from '../../store/definitions.ts';
import { maskerFor } from '../mask/create-masker.ts';
import type { Exposed, Source } from './exposed.ts';
import { matchesPatterns } from './match-patterns.ts';
import { noSearchTools, type SearchTools, searchToolsOf } from './search-tools.ts';
import { showDefinition } from './show-definition.ts';

/** What one toolset exposes of what its servers offer at this moment; policies have not yet been asked. */
export type ToolsetTable = {
  sources: readonly Source[];
  tools: ReadonlyMap<string, Exposed>;
  prompts: ReadonlyMap<string, Exposed>;
  /** In the order of the sources, under the servers' own URI templates: which of them need another spelling depends on the caller. */
  templates: readonly Exposed[];
  /** The two that are listed in place of the tools, where the toolset exposes `search`. */
  search: SearchTools;
  /** Names that two servers give and nobody has until the toolset tells them apart. */
  clashes: readonly string[];
  /** What could not be exposed as it was asked for. */
  notes: readonly string[];
};
export type ToolsetTableResult = { ok: true; table: ToolsetTable } | { ok: false; reason: 'unknown' | 'conflict'; detail: string };

/** A name longer than this is refused by clients (2025-11-25, tools). */
export const maxNameLength = 128;

const isWanted = (part: ToolsetServer, kind: DefinitionKind, name: string): boolean => {
  if (kind === 'template') return matchesPatterns(part.resources, name);
  const wanted = kind === 'tool' ? part.tools : part.prompts;
  return wanted !== 'none' && (wanted === 'all' || wanted.includes(name)) && !part.hide.includes(name);
};

const exposedName = (spec: ToolsetSpec, part: ToolsetServer, { kind, name }: Definition): string => {
  if (kind === 'template') return name;
  const renamed = Object.hasOwn(part.rename, name) ? part.rename[name] : undefined;
  return renamed ?? (spec.naming === 'plain' ? name : `${spec.prefix.replace('{server}', part.name)}${name}`);
};

/** Names in the toolset that no definition of the server has; a server that was never seen has none to compare with. */
const strayNames = (part: ToolsetServer, definitions: readonly Definition[]): string[] => {
  if (definitions.length === 0) return [];
  const known = new Set(definitions.map(({ name }) => name));
  const named = [
    ...(Array.isArray(part.tools) ? part.tools : []),
    ...(Array.isArray(part.prompts) ? part.prompts : []),
    ...part.hide,
    ...Object.keys({ ...part.rename, ...part.describe, ...part.fix }),
  ];
  return [...new Set(named)].filter((name) => !known.has(name));
};

const definitionsOf = (declared: Declared, { tenancy, server }: Pick<Source, 'tenancy' | 'server'>): Definition[] =>
  (['tool', 'prompt', 'template'] as const).flatMap((kind) => [...declared.definitionsOf(tenancy, server.metadata.name, kind)]);

const sourcesOf = (declared: Declared, tenancy: Tenancy, toolset: string, spec: ToolsetSpec): Source[] =>
  spec.servers.flatMap((part) => {
    const server = declared.find('McpServer', tenancy, part.name);
    if (!server) return [];
    const mask = maskerFor(spec.filter, server.spec.filter);
    const { whenServerFails, expose } = spec;
    return [{ tenancy, toolset, server, part, whenServerFails, expose, key: part.name, ...(mask ? { mask } : {}) }];
  });

/** Everything of a source that may be exposed, before names are compared with those of other servers. */
const exposedBy = (spec: ToolsetSpec, source: Source, definitions: readonly Definition[], notes: string[]): Exposed[] =>
  definitions.flatMap((pinned) => {
    // what is not as it was approved is used by nobody, and takes no name from what is
    if (!isUsable(pinned) || !isWanted(source.part, pinned.kind, pinned.name)) return [];
    const name = exposedName(spec, source.part, pinned);
    const where = `${pinned.kind} ${pinned.name} of ${source.part.name}`;
    if (pinned.kind !== 'template' && name.length > maxNameLength) {
      notes.push(`${where} is left out: its name would be longer than ${maxNameLength} characters; \`rename\` it`);
      return [];
    }
    if (spec.expose === 'search' && pinned.kind === 'tool' && isSearchToolName(name)) {
      notes.push(`${where} is left out: \`${name}\` is the toolset's own where it exposes \`search\`; \`rename\` the server's`);
      return [];
    }
    const shown = showDefinition(pinned, name, source.part);
    if (shown.ok) return [{ ...source, name, pinned, shown: shown.shown, fixed: shown.fixed, headers: shown.headers }];
    notes.push(`${where} is left out: ${shown.reason}`);
    return [];
  });

/** Gives each name to one item; what the toolset's `conflicts` says decides where two want it. */
const byName = (spec: ToolsetSpec, items: readonly Exposed[], clashes: string[]): Map<string, Exposed> => {
  const table = new Map<string, Exposed>();
  for (const [name, wanting] of Map.groupBy(items, (item) => item.name)) {
    const [first] = wanting;
    if (first && (wanting.length === 1 || spec.conflicts === 'priority')) table.set(name, first);
    else clashes.push(`the ${first?.pinned.kind} ${name} of ${wanting.map(({ server }) => server.metadata.name).join(' and ')}`);
  }
  return table;
};

const build = (declared: Declared, tenancy: Tenancy, name: string): ToolsetTableResult => {
  const toolset = declared.find('Toolset', tenancy, name);
  if (!toolset)
    return { ok: false, reason: 'unknown', detail: `There is no toolset ${tenancy.org}/${tenancy.project}/${name} that you may use.` };
  // stored by a release that had fewer fields or checks: what it did not know has its default
  const read = ToolsetSpecSchema.safeParse(toolset.spec);
  if (!read.success)
    return {
      ok: false,
      reason: 'conflict',
      detail: `Toolset ${name} is not valid in this release; apply it again to see what has to change.`,
    };
  const spec = read.data;
  const sources = sourcesOf(declared, tenancy, name, spec);
  const notes: string[] = [];
  const clashes: string[] = [];
  const items = sources.flatMap((source) => {
    const definitions = definitionsOf(declared, source);
    const stray = strayNames(source.part, definitions);
    if (stray.length > 0) notes.push(`${source.part.name} has nothing called ${stray.join(', ')}`);
    return exposedBy(spec, source, definitions, notes);
  });
  const ofKind = (kind: DefinitionKind) => items.filter(({ pinned }) => pinned.kind === kind);
  const table: ToolsetTable = {
    sources,
    tools: byName(spec, ofKind('tool'), clashes),
    prompts: byName(spec, ofKind('prompt'), clashes),
    templates: ofKind('template'),
    search: spec.expose === 'search' ? searchToolsOf(tenancy, name) : noSearchTools,
    clashes,
    notes,
  };
  if (clashes.length > 0 && spec.conflicts === 'fail')
    return {
      ok: false,
      reason: 'conflict',
      detail: `Toolset ${name}: two servers give the same name: ${clashes.join('; ')}. Set \`naming: prefix\` or \`conflicts: priority\`, or \`rename\` one of them.`,
    };
  return { ok: true, table };
};

const built = new WeakMap<Declared, Map<string, ToolsetTableResult>>();

/** The table of one toolset; made once for each view of what is declared. */
export const tableOfToolset = (declared: Declared, tenancy: Tenancy, name: string): ToolsetTableResult => {
  let tables = built.get(declared);
  if (!tables) {
    tables = new Map();
    built.set(declared, tables);
  }
  const key = `${tenancy.org}/${tenancy.project}/${name}`;
  let result = tables.get(key);
  if (!result) {
    result = build(declared, tenancy, name);
    tables.set(key, result);
  }
  return result;
};
