import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RootKeyVersion } from '../../schema/seal-key.ts';
import { pollUntil } from '../support/poll-until.ts';
import { runCli } from '../support/run-cli.ts';
import { createPlatformPlace, type PlatformPlace } from '../support/running-platform.ts';

let place: PlatformPlace;
let ready: Awaited<ReturnType<PlatformPlace['start']>>['ready'];
const names = ['content.key', 'gateway.key', 'issuer.key'] as const;

beforeAll(async () => {
  place = await createPlatformPlace();
  ({ ready } = await place.start(['--profile', 'dev']));
});
afterAll(() => place.close());

const keys = (...args: string[]) =>
  runCli(['keys', ...args, '--data', place.data], { env: { QUARTERDECK_URL: ready.url, QUARTERDECK_TOKEN: ready.adminToken ?? '' } });
const versions = async (): Promise<RootKeyVersion[]> => {
  const { stdout, stderr, code } = await keys('ls', '--installation', '-o', 'json');
  if (code !== 0) throw new Error(stderr);
  return (JSON.parse(stdout) as { rootKeys: RootKeyVersion[] }).rootKeys;
};
const fileOf = (name: string): string => readFileSync(join(place.data, 'keys', name), 'utf8');
/** Rotates a key and waits until its new version wraps and nothing stands on any other. @returns `NAME/ID` */
const rotated = async (name: string): Promise<string> => {
  const { stdout, code } = await keys('rotate', name);
  expect(code).toBe(0);
  const made = stdout.trim();
  await pollUntil(
    async () => {
      const own = (await versions()).filter((version) => version.name === name);
      const wraps = own.find(({ state }) => state === 'wraps');
      return (`${name}/${wraps?.id}` === made && own.every(({ id, wraps }) => wraps === 0 || `${name}/${id}` === made)) || undefined;
    },
    `everything stands on ${made}`,
    60_000,
  );
  return made;
};
const pids = () => ['gateway', 'control', 'worker', 'egress'].map((name) => place.pidOf(name));

test('wrapping keys rotate and are retired by the command while the platform runs: no process starts anew for it, no call fails, and one that starts later has them too', async () => {
  const before = pids();
  const failures: string[] = [];
  let calls = 0;
  let isOver = false;
  // a session is sealed text of the gateway's: the first one is used through all rotations, beside the newest
  const traffic = (async () => {
    const sessions: string[] = [];
    while (!isOver) {
      const begins = calls % 10 === 0;
      const session = calls % 2 === 0 ? sessions[0] : sessions.at(-1);
      const response = await fetch(ready.mcpUrl, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${ready.adminToken}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(begins || session === undefined ? {} : { 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' }),
        },
        body: JSON.stringify(
          begins
            ? {
                jsonrpc: '2.0',
                id: 1,
                method: 'initialize',
                params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'tester', version: '1' } },
              }
            : { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} },
        ),
      });
      const text = await response.text();
      if (response.status !== 200 || text.includes('"error"')) failures.push(`${response.status} ${text.slice(0, 200)}`);
      if (begins) sessions.push(response.headers.get('mcp-session-id') ?? 'none was given');
      calls += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  expect((await keys('rotate', '--all')).code).toBe(0);
  await pollUntil(async () => (await versions()).some(({ wraps }) => wraps > 0) || undefined, 'keys are wrapped', 30_000);

  const first = new Map<string, string>();
  for (const name of names) first.set(name, await rotated(name));
  const one = first.get('content.key') as string;
  // the one that wraps stays, whoever asks; so does what others are made from
  expect(await keys('retire', one)).toMatchObject({ code: 2, stderr: expect.stringContaining('it is the one that wraps') });
  expect(await keys('retire', 'content.key/original')).toMatchObject({ code: 2, stderr: expect.stringContaining('is made from it') });

  const two = await rotated('content.key');
  expect(await keys('retire', one)).toMatchObject({ code: 0, stdout: expect.stringContaining(`${one} retired`) });
  expect(fileOf('content.key')).not.toContain(one.split('/')[1]);
  expect(fileOf('content.key')).toContain(two.split('/')[1]);
  await pollUntil(async () => !(await versions()).some(({ name, id }) => `${name}/${id}` === one) || undefined, 'it is forgotten', 30_000);
  expect(await keys('retire', one)).toMatchObject({ code: 2, stderr: expect.stringContaining('there is no version') });
  expect(pids()).toEqual(before);
  isOver = true;
  await traffic;
  expect(failures).toEqual([]);
  expect(calls).toBeGreaterThan(100);

  // one that is started anew is told what the supervisor was told since
  const control = place.pidOf('control');
  process.kill(control, 'SIGKILL');
  const listed = await pollUntil(
    async () => (place.pidOf('control') !== control && (await versions().catch(() => undefined))) || undefined,
    'the api is back',
    60_000,
  );
  expect(listed.filter(({ name, state }) => name === 'content.key' && state === 'wraps').map(({ id }) => `content.key/${id}`)).toEqual([
    two,
  ]);
  expect(listed.every(({ state }) => state !== 'unknown')).toBe(true);
});
