import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answerKeychain, readKeychain } from '../../cli/up/keychain.ts';

const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-keychain-'));
const environment = { PATH: `${folder}:${process.env.PATH}` };

/** Commands with the contracts of `secret-tool` (libsecret) and `security` (macOS): the value on stdout, or nothing and a bad exit code. */
const commands = {
  'secret-tool': '#!/bin/sh\n[ "$*" = "lookup service quarterdeck account acme/lab/openai" ] && printf "sk-keychain" && exit 0\nexit 1\n',
  security: '#!/bin/sh\n[ "$*" = "find-generic-password -s quarterdeck -a acme/lab/openai -w" ] && echo "sk-keychain" && exit 0\nexit 44\n',
};
beforeAll(() => {
  for (const [name, text] of Object.entries(commands)) {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o755);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(['linux', 'darwin'] as const)('the keychain of %s', (platform) => {
  test('gives an entry of ours, and says how to store one that is not there', async () => {
    expect(await readKeychain('acme/lab/openai', environment, platform)).toEqual({ value: 'sk-keychain' });
    expect(await readKeychain('acme/lab/other', environment, platform)).toEqual({
      failure: expect.stringMatching(/has no entry acme\/lab\/other.*store it with/),
    });
  });

  test('without its command says so', async () => {
    expect(await readKeychain('acme/lab/openai', { PATH: '/nowhere' }, platform)).toEqual({
      failure: expect.stringMatching(/not installed/),
    });
  });

  test('is asked for nothing but an account of ours', async () => {
    for (const account of ['openai', '-w', 'acme/lab/../x', 'acme/lab/x; id', 'a b/c/d'])
      expect(await readKeychain(account, environment, platform)).toHaveProperty('failure');
  });
});

test.runIf(process.platform === 'linux')('a process asks its supervisor over their channel, and starts no program itself', async () => {
  const module = JSON.stringify(join(import.meta.dirname, '../../cli/processes/ask-keychain.ts'));
  const script = `import { lookupKeychain } from ${module};
    const asked = await Promise.allSettled([lookupKeychain('acme/lab/openai'), lookupKeychain('acme/lab/none')]);
    process.send({ type: 'seen', asked: asked.map((one) => one.value ?? one.reason.code) });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const seen = new Promise((resolve) =>
    child.on('message', (message: { type: string; asked?: unknown }) =>
      message.type === 'keychain' ? void answerKeychain(child, message as never, environment) : resolve(message.asked),
    ),
  );
  expect(await seen).toEqual(['sk-keychain', 'secret_unavailable']);
  child.disconnect();
  await once(child, 'exit');
});
