import type { StoredResource } from '../../schema/resource.ts';
import type { RunProgress } from '../../schema/run.ts';
import { followRun } from '../client/follow-run.ts';
import { readInputs, resolveFolders } from '../client/run-inputs.ts';
import { openSession, type Session } from '../client/session.ts';
import { absolutePath } from '../client/working-directory.ts';
import { print, say } from '../output/talk.ts';
import type { FormatOptions } from './run-actions.ts';

export type LaunchOptions = { input?: string[]; output?: string };

/** Launches a fleet. @throws {CliError} naming the input that cannot be used */
export const launchFleet = async (
  { api, path, config }: Session,
  fleet: string,
  { input, output }: LaunchOptions,
): Promise<RunProgress> => {
  const inputs = readInputs(input ?? []);
  const declared = await api.get<StoredResource<'Fleet'>>(`${path}/resources/Fleet/${encodeURIComponent(fleet)}`);
  return api.post<RunProgress>(`${path}/runs`, {
    fleet,
    inputs: resolveFolders(config, declared, inputs),
    ...(output === undefined ? {} : { outputDirectory: absolutePath(config, output) }),
  });
};

export const runFleet = async (
  fleet: string,
  { format, detach, watch, input, output, ...connection }: FormatOptions & LaunchOptions & { detach?: boolean; watch?: boolean },
): Promise<void> => {
  const session = openSession(connection);
  const { id } = await launchFleet(session, fleet, { input, output });
  if (detach) {
    print(format === 'json' ? JSON.stringify({ id }) : id);
    return say(`The run goes on by itself; watch it with: quarterdeck run watch ${id}`);
  }
  say(`Launched ${fleet} as ${id}.`);
  await followRun(session, id, { isShown: watch !== false, format });
};
