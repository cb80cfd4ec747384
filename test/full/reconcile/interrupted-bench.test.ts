import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { pollUntil } from '../../support/poll-until.ts';
import { startCli } from '../../support/run-cli.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** Command lines in which the folder stands: what was started for it. */
const runningIn = (folder: string): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')];
      } catch {
        return []; // it has ended meanwhile
      }
    })
    .filter((line) => line.includes(folder));

// the API server is the first that is started, and Postgres stands for the platform after it
test.each(['kube-apiserver', 'postgres'])(
  'Ctrl-C while %s starts ends the bench and leaves nothing behind',
  async (program) => {
    const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-interrupted-'));
    folders.push(folder);
    const { child, text, ended } = startCli(['bench', 'reconcile', '--case', 'K01', '--models', 'expert', '--data', join(folder, 'data')], {
      env: { HOME: homedir(), TMPDIR: folder },
    });
    const isStarting = () => {
      if (child.exitCode !== null) throw new Error(`it ended by itself: ${text.stderr.slice(-2000)}`);
      return runningIn(folder).some((line) => line.includes(program)) || undefined;
    };
    await pollUntil(isStarting, `${program} to start`, 240_000);
    child.kill('SIGINT');
    expect((await ended).code).toBe(130);
    await pollUntil(() => runningIn(folder).length === 0 || undefined, 'all that was started to end', 30_000);
    expect(readdirSync(join(folder, 'data'))).toEqual([]);
    expect(readdirSync(folder).filter((name) => name.startsWith('quarterdeck-kube-'))).toEqual([]);
  },
  300_000,
);
