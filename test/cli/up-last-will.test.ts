import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startOf } from '../../cli/up/process-identity.ts';
import { pollUntil } from '../support/poll-until.ts';

const module = (path: string) => JSON.stringify(fileURLToPath(new URL(`../../cli/up/${path}`, import.meta.url)));

/** Starts a process that starts another one under a last will, and prints its id. */
const startTestator = async (ending: string) => {
  const script = `
    import { spawnCommand } from ${module('command.ts')};
    import { makeLastWill } from ${module('last-will.ts')};
    const child = spawnCommand({ file: '/bin/sleep', args: ['60'], env: {}, cwd: '/' }, 'ignore');
    const lastWill = makeLastWill();
    lastWill.include(child.pid, 'TERM');
    console.log(child.pid);
    ${ending}
    setInterval(() => undefined, 1000);`;
  const testator = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(testator.stdout, 'data')) as [Buffer];
  return { testator, heir: Number(line.toString()) };
};

test('what a process has started ends within seconds when it is killed', async () => {
  const { testator, heir } = await startTestator('');
  expect(startOf(heir)).toBeDefined();
  testator.kill('SIGKILL');
  await pollUntil(() => startOf(heir) === undefined || undefined, 'the end of the heir', 4000);
});

test('what was taken out of it lives on', async () => {
  const { testator, heir } = await startTestator('lastWill.exclude(child.pid); child.unref();');
  const marker = await startTestator(''); // ends by its own last will, later than the first one could
  testator.kill('SIGKILL');
  await once(testator, 'exit');
  marker.testator.kill('SIGKILL');
  await pollUntil(() => startOf(marker.heir) === undefined || undefined, 'the end of the other heir', 4000);
  expect(startOf(heir)).toBeDefined();
  process.kill(heir, 'SIGKILL');
});
