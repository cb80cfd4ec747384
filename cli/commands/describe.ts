import type { Command } from 'commander';
import type { AuditEvent } from '../../schema/audit-event.ts';
import { jsonSchemaOf, type StoredResource } from '../../schema/resource.ts';
import { readKind, readReference } from '../client/kinds.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { manifestOf, toYaml } from '../output/manifest.ts';
import { plainText } from '../output/plain-text.ts';
import { schemaText } from '../output/schema-text.ts';
import { renderTable } from '../output/table.ts';
import { print } from '../output/talk.ts';
import { formatAge } from '../output/units.ts';

type Options = ConnectionOptions & { format: Format };

const describeSchema = (kindName: string, format: Format): void => {
  const schema = jsonSchemaOf(readKind(kindName));
  if (format === 'json') print(JSON.stringify(schema, undefined, 2));
  else if (format === 'yaml') print(toYaml(schema));
  else print(schemaText(schema));
};

const conditionTable = ({ status }: StoredResource, now: Date): string =>
  renderTable(
    ['TYPE', 'STATUS', 'REASON', 'SINCE', 'MESSAGE'],
    status.conditions.map(({ type, status: value, reason, message, lastTransitionTime }) => [
      type,
      value,
      reason,
      formatAge(lastTransitionTime, now),
      message,
    ]),
  );

const eventTable = (events: AuditEvent[], now: Date): string =>
  renderTable(
    ['AGE', 'PERSON', 'CHANGE', 'GENERATION', 'DECISION'],
    events.map(({ at, person, facts, decisionId }) => [
      formatAge(at, now),
      person ?? '',
      String(facts.change ?? ''),
      String(facts.generation ?? ''),
      decisionId,
    ]),
  );

const describe = async (kindName: string, name: string | undefined, { format, ...connection }: Options): Promise<void> => {
  if (kindName === 'schema') {
    if (name === undefined) throw usageError('Say which kind: quarterdeck describe schema KIND');
    return describeSchema(name, format);
  }
  if (name === undefined && !kindName.includes('/')) throw usageError(`Say which one: quarterdeck describe ${kindName} NAME`);
  const one = name === undefined ? readReference(kindName) : { kind: readKind(kindName), name };
  const { api, path } = openSession(connection);
  const place = `${path}/resources/${one.kind}/${encodeURIComponent(one.name)}`;
  const resource = await api.get<StoredResource>(place);
  const { events } = await api.get<{ events: AuditEvent[] }>(`${place}/events`);
  if (format === 'json') return print(JSON.stringify({ ...resource, events }, undefined, 2));
  if (format === 'yaml') return print(toYaml({ ...manifestOf(resource), status: resource.status, events }));
  const now = new Date();
  const { kind, metadata, uid, generation, createdAt, updatedAt } = resource;
  print(`${kind} ${metadata.name} in ${metadata.org}/${metadata.project}`);
  print(`generation ${generation}, created ${formatAge(createdAt, now)} ago, changed ${formatAge(updatedAt, now)} ago, uid ${uid}`);
  print(`\n${toYaml(manifestOf(resource)).split('\n').map(plainText).join('\n')}`);
  print(resource.status.conditions.length > 0 ? `\nConditions\n${conditionTable(resource, now)}` : '\nConditions: none yet');
  print(events.length > 0 ? `\nEvents\n${eventTable(events, now)}` : '\nEvents: none');
};

export const describeCommand = (): Command =>
  withExamples(
    connectedCommand('describe')
      .description('Show one resource with its conditions and last changes, or the fields of a kind')
      .argument('<kind>', 'kind, KIND/NAME, or schema')
      .argument('[name]', 'which one; after schema, a kind')
      .addOption(formatOption(['table', 'json', 'yaml']))
      .action(describe),
    [
      ['quarterdeck describe toolset survey-read', 'spec, conditions and last changes'],
      ['quarterdeck describe schema AgentRole', 'the fields of a kind; needs no platform'],
      ['quarterdeck describe schema Fleet -o json', 'the same as JSON Schema, for editors'],
    ],
  );
