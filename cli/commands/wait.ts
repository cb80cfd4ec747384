import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { StoredResource } from '../../schema/resource.ts';
import { ApiRefusal } from '../client/api-client.ts';
import { readReference } from '../client/kinds.ts';
import { patiently } from '../client/patience.ts';
import { type ConnectionOptions, connectedCommand, openSession, type Session } from '../client/session.ts';
import { CliError, usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { exitCodes } from '../output/exit-codes.ts';
import { referenceOf } from '../output/resource-columns.ts';
import { print } from '../output/talk.ts';
import { parseDuration } from '../output/units.ts';

type Options = ConnectionOptions & { for: string; timeout: string };
type Reference = ReturnType<typeof readReference>;
type Wanted = { delete: true } | { delete: false; type: string; status: string };

const pollMs = 300;

const readWanted = (text: string): Wanted => {
  if (text === 'delete') return { delete: true };
  const match = /^condition=([A-Za-z]+)(?:=(True|False|Unknown))?$/i.exec(text);
  if (!match?.[1]) throw usageError(`--for=${text} is neither delete nor condition=TYPE, such as condition=Ready`);
  return { delete: false, type: match[1].toLowerCase(), status: (match[2] ?? 'True').toLowerCase() };
};

/** What is still in the way; undefined when there is nothing. */
const missingFor = (wanted: Wanted, resource: StoredResource | undefined): string | undefined => {
  if (!resource) return undefined;
  if (wanted.delete) return 'it is still there';
  const condition = resource.status.conditions.find(({ type }) => type.toLowerCase() === wanted.type);
  if (!condition || condition.observedGeneration < resource.generation) return 'nothing was observed of it yet';
  if (condition.status.toLowerCase() === wanted.status) return undefined;
  return `${condition.type} is ${condition.status} (${condition.reason}): ${condition.message}`;
};

const waitForOne = async ({ api, path }: Session, { kind, name }: Reference, wanted: Wanted, deadline: number): Promise<void> => {
  const read = async (): Promise<StoredResource | undefined> => {
    try {
      return await api.get<StoredResource>(`${path}/resources/${kind}/${encodeURIComponent(name)}`);
    } catch (error) {
      if (wanted.delete && error instanceof ApiRefusal && error.code === 'not_found') return undefined;
      throw error;
    }
  };
  for (;;) {
    const missing = missingFor(wanted, await patiently(read, { forMs: Math.max(0, deadline - performance.now()) }));
    if (missing === undefined) return print(`${referenceOf({ kind, metadata: { name } })} ${wanted.delete ? 'deleted' : 'condition met'}`);
    if (performance.now() >= deadline)
      throw new CliError(`The wait for ${kind} ${name} is over: ${missing}`, {
        code: 'timeout',
        exitCode: exitCodes.timeout,
        next: `quarterdeck describe ${kind.toLowerCase()} ${name}`,
      });
    await sleep(pollMs);
  }
};

const wait = async (references: string[], { for: text, timeout, ...connection }: Options): Promise<void> => {
  const wanted = readWanted(text);
  const timeoutMs = parseDuration(timeout);
  if (timeoutMs === undefined) throw usageError(`--timeout=${timeout} is not a time such as 60s or 5m`);
  const deadline = performance.now() + timeoutMs;
  const wantedResources = references.map(readReference);
  const session = openSession(connection);
  for (const reference of wantedResources) await waitForOne(session, reference, wanted, deadline);
};

export const waitCommand = (): Command =>
  withExamples(
    connectedCommand('wait')
      .description('Wait until a resource is ready, or gone; exit code 6 when the time is over')
      .argument('<kind/name...>', 'which ones')
      .requiredOption('--for <condition>', 'condition=TYPE, condition=TYPE=STATUS or delete')
      .option('--timeout <time>', 'how long: 500ms, 60s, 5m', '60s')
      .action(wait),
    [
      ['quarterdeck wait toolset/survey-read --for=condition=Ready', 'its servers answer and its tools are known'],
      ['quarterdeck wait mcpserver/echo --for=delete --timeout=10s', 'it is gone'],
    ],
  );
