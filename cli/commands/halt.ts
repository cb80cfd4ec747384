import type { Command } from 'commander';
import { type Halt, haltName, haltScopes } from '../../schema/halt.ts';
import type { Kind } from '../../schema/resource.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { CliError, usageError } from '../output/cli-error.ts';
import { withExamples } from '../output/command-help.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { renderTable } from '../output/table.ts';
import { print, say } from '../output/talk.ts';
import { formatAge } from '../output/units.ts';

/** `server echo` and `server/echo` are the same; an agent's id has slashes of its own. */
const readScope = (scope: string | undefined, name: string | undefined): { scope: string; name?: string } => {
  const slash = scope?.indexOf('/') ?? -1;
  const [kind, named] =
    scope !== undefined && name === undefined && slash > 0 ? [scope.slice(0, slash), scope.slice(slash + 1)] : [scope ?? 'org', name];
  if (!(haltScopes as readonly string[]).includes(kind)) throw usageError(`${kind} is none of ${haltScopes.join(', ')}`);
  return { scope: kind, ...(named === undefined ? {} : { name: named }) };
};

const list = async ({ format, ...connection }: ConnectionOptions & { format: Format }): Promise<void> => {
  const { api, path, tenancy } = openSession(connection);
  const { halts } = await api.get<{ halts: Halt[] }>(`${path}/halts`);
  if (format === 'json') return print(JSON.stringify({ halts }, undefined, 2));
  if (format === 'name') return halts.length > 0 ? print(halts.map(haltName).join('\n')) : undefined;
  if (halts.length === 0) return say(`Nothing is halted in ${tenancy.org}/${tenancy.project}.`);
  const now = new Date();
  const rows = halts.map((halt) => [haltName(halt), halt.haltedBy, `${formatAge(halt.haltedAt, now)} ago`, halt.reason]);
  print(renderTable(['HALTED', 'BY', 'SINCE', 'REASON'], rows));
};

/** Scopes that are declared: a name that nobody declared is likely mistyped, and what was meant goes on. */
const kindOf: Partial<Record<string, Kind>> = { server: 'McpServer', fleet: 'Fleet', role: 'AgentRole', model: 'Model' };

const isUndeclared = async ({ api, path }: ReturnType<typeof openSession>, kind: Kind, name: string): Promise<boolean> =>
  api.get(`${path}/resources/${kind}/${encodeURIComponent(name)}`).then(
    () => false,
    (error) => error instanceof CliError && error.code === 'not_found', // who may not look is told nothing
  );

type HaltOptions = ConnectionOptions & { lift?: boolean; reason?: string };

const halt = async (
  scope: string | undefined,
  name: string | undefined,
  { lift, reason = '', ...connection }: HaltOptions,
): Promise<void> => {
  const session = openSession(connection);
  const { api, path, tenancy } = session;
  const asked = readScope(scope, name);
  const what = `${haltName({ scope: asked.scope as Halt['scope'], name: asked.name ?? '' })} of ${tenancy.org}/${tenancy.project}`;
  await api.post(`${path}/halts${lift ? '/lift' : ''}`, { ...asked, reason });
  print(
    lift
      ? `${what}: lifted; agents that waited go on within seconds`
      : `${what}: halted; nothing new starts, and what runs is cut within two seconds`,
  );
  const kind = kindOf[asked.scope];
  if (lift || kind === undefined || asked.name === undefined || !(await isUndeclared(session, kind, asked.name))) return;
  say(
    `No ${kind} ${asked.name} is declared in ${tenancy.org}/${tenancy.project}. If another was meant it goes on: \`quarterdeck get ${kind.toLowerCase()}\` lists them, \`quarterdeck halt --lift ${asked.scope} ${asked.name}\` takes this back.`,
  );
};

export const haltCommand = (): Command =>
  withExamples(
    connectedCommand('halt')
      .description('The brake: nothing new starts for what is halted, and what runs is cut, within two seconds; only a person lifts it')
      .argument('[scope]', `${haltScopes.join(', ')}; the whole org where nothing is said`)
      .argument('[name]', 'which one; for all but `org` and `project`')
      .option('--lift', 'let it go on again')
      .option('--reason <text>', 'why, for the audit and for those who are refused')
      .action(halt)
      .addCommand(
        connectedCommand('ls')
          .description('List what is halted')
          .addOption(formatOption(['table', 'json', 'name']))
          .action(list),
      ),
    [
      ['quarterdeck halt', 'everything in the org: no tool, no model, no launch'],
      ['quarterdeck halt server github --reason "leaks issues"', 'one server; its processes are stopped'],
      ['quarterdeck halt run run_0123456789abcdef', 'one run; its agents wait where they are'],
      ['quarterdeck halt --lift server github', 'what waited goes on'],
      ['quarterdeck halt ls', 'what is halted, by whom and why'],
    ],
  );
