import type { PolicyEngine } from '../../policy/engine.ts';
import type { Declared } from '../../store/declared.ts';
import type { EndpointTable } from './endpoint-table.ts';
import type { Exposed, Source } from './exposed.ts';
import type { ListKind } from './surface.ts';
import type { View } from './view.ts';

type PoliciesInForce = Pick<PolicyEngine, 'versionOf'>;

/** What a table's lists are made of, as texts to compare: per list, and of the policies over all. */
export type TableMark = Record<ListKind, string> & { policies: string };

export const markOfItem = ({ name, key, pinned, part }: Exposed): string =>
  `${name} ${key} ${pinned.approvedHash} ${pinned.name in part.describe ? part.describe[pinned.name] : ''} ${pinned.name in part.fix ? JSON.stringify(part.fix[pinned.name]) : ''}`;

/** What is found and not listed shows in its toolset's own two tools alone. */
const markOfListed = (item: Exposed): string => {
  if (item.expose === 'all' || item.pinned.kind !== 'tool') return markOfItem(item);
  return `search ${item.tenancy.org}/${item.tenancy.project}/${item.toolset}`;
};

const markOfItems = (items: Iterable<Exposed>): string => [...new Set([...items].map(markOfListed))].sort().join('\n');

const markOfSource = ({ key, server, part }: Source): string =>
  `${key} ${server.uid}@${server.generation} ${JSON.stringify(part.resources)}`;

/** Those in force, whatever is declared: that a project has none any more is a change too. */
const policiesOf = (policy: PoliciesInForce, declared: Declared, { tenancy }: Source): string =>
  [policy.versionOf(tenancy), ...declared.list('Project', tenancy).map(({ uid, generation }) => `${uid}@${generation}`)].join(' ');

const marks = new WeakMap<EndpointTable, TableMark>();

/** Made once for each table: all who share it change together. */
export const markOf = (policy: PoliciesInForce, declared: Declared, table: EndpointTable): TableMark => {
  let mark = marks.get(table);
  if (!mark) {
    const projects = new Map(table.sources.map((source) => [`${source.tenancy.org}/${source.tenancy.project}`, source]));
    mark = {
      tools: markOfItems(table.tools.values()),
      prompts: markOfItems(table.prompts.values()),
      resources: `${markOfItems(table.templates)}\n${table.sources.map(markOfSource).join('\n')}`,
      policies: [...projects.values()].map((source) => policiesOf(policy, declared, source)).join('\n'),
    };
    marks.set(table, mark);
  }
  return mark;
};

/** Which lists may be others than before, for somebody. */
export const changedLists = (before: TableMark | undefined, after: TableMark | undefined): ListKind[] =>
  (['tools', 'prompts', 'resources'] as const).filter((kind) => before?.[kind] !== after?.[kind] || before?.policies !== after?.policies);

/** Whether a caller's list is the very same as the one that was made before; false also where none was made. */
export const isSameList = (before: View | undefined, after: View, kind: 'tools' | 'prompts'): boolean => {
  const itemKind = kind === 'tools' ? 'tool' : 'prompt';
  const known = before?.known(itemKind);
  return known !== undefined && markOfItems(known) === markOfItems(after.list(itemKind));
};
