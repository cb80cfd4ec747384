import { Command } from 'commander';
import type { Pin } from '../../schema/definition.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { readyOf, resourceRows } from '../output/resource-columns.ts';
import { renderTable } from '../output/table.ts';
import { print, say } from '../output/talk.ts';
import { pinsCommand } from './server-pins.ts';

type Options = ConnectionOptions & { format: Format };
type McpServer = StoredResource<'McpServer'>;

/** Of one server: how many definitions are in force, and how many wait for a person. */
const countPins = (pins: readonly Pin[], name: string): { approved: number; waiting: number } => {
  const own = pins.filter(({ server }) => server === name);
  const approved = own.filter(({ state }) => state === 'approved').length;
  return { approved, waiting: own.length - approved };
};

const whyOf = (server: McpServer): string => server.status.conditions.find(({ type }) => type === 'Ready')?.message ?? '';

const list = async ({ format, ...connection }: Options): Promise<void> => {
  const { api, path } = openSession(connection);
  const { items } = await api.get<{ items: McpServer[] }>(`${path}/resources/McpServer`);
  const { pins } = await api.get<{ pins: Pin[] }>(`${path}/pins`);
  if (format === 'json')
    return print(
      JSON.stringify({ items: items.map((item) => ({ ...item, definitions: countPins(pins, item.metadata.name) })) }, undefined, 2),
    );
  if (items.length === 0) return say('No MCP server is declared; see `quarterdeck describe schema McpServer`.');
  if (format === 'name') return print(items.map(({ metadata }) => metadata.name).join('\n'));
  const { head, rows } = resourceRows(items, new Date());
  const more = items.map((item) => {
    const { approved, waiting } = countPins(pins, item.metadata.name);
    return [String(approved), String(waiting), readyOf(item) === 'True' ? '' : whyOf(item)];
  });
  print(
    renderTable(
      [...head, 'IN FORCE', 'WAITING', 'WHY'],
      rows.map((row, index) => [...row, ...(more[index] ?? [])]),
    ),
  );
};

export const serverCommand = (): Command =>
  withExamples(
    new Command('server')
      .description('MCP servers: how they stand, and what they offer')
      .addCommand(
        connectedCommand('ls')
          .description('List the servers')
          .addOption(formatOption(['table', 'json', 'name']))
          .action(list),
      )
      .addCommand(pinsCommand()),
    [
      ['quarterdeck server ls', 'which ones answer'],
      ['quarterdeck server pins diff', 'what changed since it was approved'],
      ['quarterdeck server pins accept files --all', 'put that into force'],
    ],
  );
