import type { WaitingChange } from '../../schema/approval.ts';
import { labelText } from '../../schema/flow-label.ts';
import type { Released, RunProgress } from '../../schema/run.ts';
import { openSession } from '../client/session.ts';
import { usageError } from '../output/cli-error.ts';
import { plainText } from '../output/plain-text.ts';
import { sayWaiting } from '../output/say-waiting.ts';
import { print, say } from '../output/talk.ts';
import type { FormatOptions } from './run-actions.ts';

const isClient = (id: string): boolean => /^(login|token):/.test(id);

/** Releases what a run, some of its agents, or a person's client has read; or asks others for it, where the project has it so. */
export const releaseLabels = async (
  id: string,
  { format, reason, agent, ...connection }: FormatOptions & { reason: string; agent?: string[] },
): Promise<void> => {
  const { api, path } = openSession(connection);
  if (isClient(id) && agent) throw usageError('--agent is for a run; a client has no agents');
  const place = `${path}/runs/${encodeURIComponent(id)}`;
  const request = async (): Promise<Released | WaitingChange> => {
    if (isClient(id)) return api.post<Released | WaitingChange>(`${path}/clients/release`, { client: id, reason });
    if (!agent) return api.post<Released | WaitingChange>(`${place}/release`, { reason });
    const { org, project, fleet } = await api.get<RunProgress>(place);
    const prefix = `${org}/${project}/${fleet}/${id}/`;
    return api.post<Released | WaitingChange>(`${place}/release`, {
      reason,
      agents: agent.map((each) => (each.startsWith(prefix) ? each : `${prefix}${each}`)),
    });
  };
  const answer = await request();
  if (format === 'json') print(JSON.stringify(answer, undefined, 2));
  if ('approvalId' in answer) return sayWaiting(answer);
  if (format === 'json') return;
  const { released } = answer;
  if (released.length === 0) return say(`${id} carries nothing.`);
  for (const { subject, label } of released) print(plainText(`${subject}: released ${labelText(label)}`));
  say('In force within 2 s. What is read from now on is carried again.');
};
