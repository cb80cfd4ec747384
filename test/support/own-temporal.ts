import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../bench/gateway/free-port.ts';
import { spawnCommand } from '../../cli/up/command.ts';
import { makeLastWill } from '../../cli/up/last-will.ts';
import { prepareTemporalFolder, temporalCommand, waitForTemporal } from '../../cli/up/temporal.ts';

/** A Temporal server of one test alone, on a file as that of a platform, that can be killed and started again on what it had written. */
export const startOwnTemporal = async () => {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-own-temporal-'));
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const file = prepareTemporalFolder(join(folder, 'temporal'));
  const lastWill = makeLastWill();
  let child: ChildProcess | undefined;

  const start = async (): Promise<void> => {
    child = spawnCommand(temporalCommand({ file, port, home: folder }), 'ignore');
    if (child.pid !== undefined) lastWill.include(child.pid, 'TERM');
    await waitForTemporal({ address, namespace: 'default' }, { deadlineMs: 60_000 });
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    child.kill('SIGCONT'); // one that was stopped hears of no signal
    await gone;
    lastWill.exclude(child.pid);
  };

  await start();
  return {
    address,
    start,
    kill: () => end('SIGKILL'),
    /** It hangs from now on, with its connections open, until `goOn`. */
    stop: () => void child?.kill('SIGSTOP'),
    goOn: () => void child?.kill('SIGCONT'),
    close: async (): Promise<void> => {
      await end('SIGTERM');
      lastWill.revoke();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
