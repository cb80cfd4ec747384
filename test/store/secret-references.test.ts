import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { resolveSecret } from '../../store/secrets/references.ts';

const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-secrets-'));
const privateDirectory = join(folder, 'data');
mkdirSync(join(privateDirectory, 'keys'), { recursive: true });
writeFileSync(join(privateDirectory, 'keys', 'content.key'), 'OWN-KEY');
writeFileSync(join(folder, 'provider.key'), 'sk-provider\n');
symlinkSync(join(privateDirectory, 'keys', 'content.key'), join(folder, 'link.key'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const owner = { org: 'acme', project: 'lab', kind: 'Provider', name: 'openai', field: 'apiKey' };
const sources = { environment: { PROVIDER_KEY: 'sk-env', DATABASE_URL: 'postgres://x', QUARTERDECK_TOKEN: 'qd_x' }, privateDirectory };

test('reads a key from a file and from the environment', async () => {
  expect(await resolveSecret({ file: join(folder, 'provider.key') }, sources, owner)).toBe('sk-provider');
  expect(await resolveSecret({ env: 'PROVIDER_KEY' }, sources, owner)).toBe('sk-env');
});

test.each([
  ['a key of the installation', { file: join(privateDirectory, 'keys', 'content.key') }],
  ['a link to one', { file: join(folder, 'link.key') }],
  ['a path that winds to one', { file: `${folder}/data/../data/keys/content.key` }],
  ['the environment of a process', { file: '/proc/self/environ' }],
  ['a file that is not there', { file: join(folder, 'none') }],
  ['the address of the database', { env: 'DATABASE_URL' }],
  ['a token of ours', { env: 'QUARTERDECK_TOKEN' }],
  ['a variable that is not set', { env: 'NOTHING' }],
])('refuses %s, and says nothing of what is in it', async (_what, reference) => {
  const failure = await resolveSecret(reference, sources, owner).catch((error) => error);
  expect(failure).toMatchObject({ code: 'secret_unavailable' });
  expect(failure.message).not.toMatch(/OWN-KEY|postgres:|qd_x/);
});
