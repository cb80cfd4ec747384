import type { Command } from 'commander';
import { kinds, type StoredResource } from '../../schema/resource.ts';
import { readKind, readReference } from '../client/kinds.ts';
import { type ConnectionOptions, connectedCommand, openSession, type Session } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { toYamlDocuments } from '../output/manifest.ts';
import { referenceOf, resourceRows } from '../output/resource-columns.ts';
import { renderTable } from '../output/table.ts';
import { print, say } from '../output/talk.ts';

type Options = ConnectionOptions & { format: Format };

/** Where the api has it, below the project. */
const placeOf = (what: string, name: string | undefined): { place: string; isOne: boolean } => {
  if (what.toLowerCase() === 'all') return { place: 'resources', isOne: false };
  const one = what.includes('/') ? readReference(what) : { kind: readKind(what), name };
  if (one.name === undefined) return { place: `resources/${one.kind}`, isOne: false };
  return { place: `resources/${one.kind}/${encodeURIComponent(one.name)}`, isOne: true };
};

const find = async ({ api, path }: Session, place: string, isOne: boolean): Promise<StoredResource | StoredResource[]> =>
  isOne ? api.get<StoredResource>(`${path}/${place}`) : (await api.get<{ items: StoredResource[] }>(`${path}/${place}`)).items;

const tables = (resources: StoredResource[], isAll: boolean): string => {
  const now = new Date();
  return kinds
    .map((kind) => resources.filter((resource) => resource.kind === kind))
    .filter((ofKind) => ofKind.length > 0)
    .map((ofKind) => {
      const { head, rows } = resourceRows(ofKind, now);
      return renderTable(head, isAll ? rows.map((row, index) => [ofKind[index] ? referenceOf(ofKind[index]) : '', ...row.slice(1)]) : rows);
    })
    .join('\n\n');
};

const get = async (what: string, name: string | undefined, { format, ...connection }: Options): Promise<void> => {
  const { place, isOne } = placeOf(what, name);
  const session = openSession(connection);
  const found = await find(session, place, isOne);
  const list = Array.isArray(found) ? found : [found];
  if (format === 'json') return print(JSON.stringify(Array.isArray(found) ? { items: found } : found, undefined, 2));
  if (list.length === 0) return say(`Nothing of that kind is in ${session.tenancy.org}/${session.tenancy.project}.`);
  if (format === 'yaml') return print(toYamlDocuments(list));
  if (format === 'name') return print(list.map(referenceOf).join('\n'));
  print(tables(list, what.toLowerCase() === 'all'));
};

export const getCommand = (): Command =>
  withExamples(
    connectedCommand('get')
      .description('Show resources')
      .argument('<kind>', `kind, KIND/NAME or all; kinds are ${kinds.join(', ')}`)
      .argument('[name]', 'one of them')
      .addOption(formatOption(['table', 'json', 'yaml', 'name']))
      .action(get),
    [
      ['quarterdeck get all', 'everything of the project'],
      ['quarterdeck get toolsets', 'one kind'],
      ['quarterdeck get agentrole scout -o yaml', 'one, as a file that can be applied again'],
      ['quarterdeck get fleets -p payments -o name', 'names, of another project'],
    ],
  );
