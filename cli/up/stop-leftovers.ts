import { rmSync } from 'node:fs';
import type { DataFolder } from './data-folder.ts';
import { pollUntil } from './poll-until.ts';
import { isRunning, signalProcess } from './process-identity.ts';
import { readSupervisorFile } from './supervisor-file.ts';

const graceMs = 4_000;

/**
 * Ends what a supervisor started that died without stopping it. Call it with the folder's lock held, so that its supervisor is
 * known to be gone. A process of the same number that started at another time is somebody else's and is left alone.
 * @returns names of what was still running
 */
export const stopLeftovers = async ({ supervisorFile, readyFile }: Pick<DataFolder, 'supervisorFile' | 'readyFile'>): Promise<string[]> => {
  rmSync(readyFile, { force: true });
  const record = readSupervisorFile(supervisorFile);
  if (!record) return [];
  const left = record.processes
    .flatMap(({ name, pid, startedAs, stopSignal }) => (pid && startedAs ? [{ name, identity: { pid, startedAs }, stopSignal }] : []))
    .filter(({ identity }) => isRunning(identity));
  const waitForAll = (deadlineMs: number): Promise<void> =>
    pollUntil(
      () => {
        const alive = left.filter(({ identity }) => isRunning(identity));
        if (alive.length > 0) throw new Error(`${alive.map(({ name }) => name).join(', ')} of the last start does not end`);
      },
      { deadlineMs },
    );
  for (const { identity, stopSignal } of left) signalProcess(identity, stopSignal);
  await waitForAll(graceMs).catch(async () => {
    for (const { identity } of left) signalProcess(identity, 'SIGKILL', { group: true });
    await waitForAll(graceMs);
  });
  rmSync(supervisorFile, { force: true });
  return left.map(({ name }) => name);
};
