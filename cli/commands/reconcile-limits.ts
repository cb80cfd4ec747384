import type { Command } from 'commander';
import type { RateHold } from '../../schema/rate-hold.ts';
import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { usageError } from '../output/cli-error.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { toYaml } from '../output/manifest.ts';
import { print, say } from '../output/talk.ts';

type Options = ConnectionOptions & { format: Format; lift?: string; reason?: string };

/** `Agent/ID`, in which the id has slashes, or `McpServer/NAME`. */
const readHeld = (text: string): { kind: string; name: string } => {
  const [kind = '', ...name] = text.split('/');
  if (!['Agent', 'McpServer'].includes(kind) || name.length === 0) throw usageError(`--lift ${text} is not Agent/ID or McpServer/NAME`);
  return { kind, name: name.join('/') };
};

const limits = async ({ format, lift, reason, ...connection }: Options): Promise<void> => {
  const { api, path, tenancy } = openSession(connection);
  if (lift !== undefined) {
    if (!reason?.trim()) throw usageError('--reason says why, for those who find it');
    const held = await api.post<RateHold>(`${path}/reconcile/limits/lift`, { ...readHeld(lift), reason });
    print(`${held.kind}/${held.name}: held to ${held.callsPerMinute} calls a minute no longer`);
    return;
  }
  const answer = await api.get<{ limits: RateHold[] }>(`${path}/reconcile/limits`);
  if (format === 'json' || format === 'yaml') return print(format === 'json' ? JSON.stringify(answer, undefined, 2) : toYaml(answer));
  if (answer.limits.length === 0) return say(`Nobody is held to fewer calls in ${tenancy.org}/${tenancy.project}.`);
  print(
    answer.limits
      .map(({ kind, name, callsPerMinute, heldAt }) =>
        format === 'name' ? `${kind}/${name}` : `${kind}/${name}: ${callsPerMinute} calls a minute since ${heldAt}`,
      )
      .join('\n'),
  );
};

export const limitsCommand = (): Command =>
  connectedCommand('limits')
    .description('Agents and servers that the reconciler holds to fewer calls than declared, and how to let go of one')
    .addOption(formatOption(['table', 'json', 'yaml', 'name']))
    .option('--lift <what>', 'Agent/ID or McpServer/NAME: what is declared holds again')
    .option('--reason <text>', 'why it is lifted')
    .action(limits);
