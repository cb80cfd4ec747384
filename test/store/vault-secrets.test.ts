import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resolveSecret } from '../../store/secrets/references.ts';
import { openSecretStores } from '../../store/secrets/secret-stores.ts';
import type { VaultAuth } from '../../store/secrets/settings.ts';
import { createVaultSecrets } from '../../store/secrets/vault-secrets.ts';
import { startVaultServer, type VaultServer } from '../support/vault-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-vault-'));
const secretIdFile = join(folder, 'secret-id');
const tokenFile = join(folder, 'pod-token');
const tenancy = { org: 'acme', project: 'lab' };
const paths = ['secret/{org}/{project}/*', 'database/creds/{org}.{project}.*'];
const kept = { path: 'secret/acme/lab/openai', field: 'key', engine: 'kv' } as const;
const made = (field: string) => ({ path: 'database/creds/acme.lab.reader', field, engine: 'dynamic' }) as const;

let vault: VaultServer;
beforeEach(async () => {
  vault = await startVaultServer();
  vault.keep(kept.path, { key: 'sk-kept-1', empty: '' });
  writeFileSync(secretIdFile, 'secret-id-1\n');
  writeFileSync(tokenFile, 'pod-jwt');
});
afterEach(() => vault.close());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const open = (auth: VaultAuth = { method: 'token', token: 'root-token' }) =>
  createVaultSecrets({ address: vault.address, paths, auth }, () => vault.clock.ms);
const failure = (work: Promise<unknown>): Promise<{ code: string; message: string }> =>
  work.then(
    () => expect.fail('no failure'),
    (error) => error,
  );

describe('what Vault keeps', () => {
  test('is read once for all who ask, and read anew after a minute or when it was refused', async () => {
    const secrets = open();
    const read = () => secrets.read(kept, tenancy);
    expect(await Promise.all([read(), read(), read()])).toEqual(['sk-kept-1', 'sk-kept-1', 'sk-kept-1']);
    expect(vault.seen).toEqual(['GET secret/data/acme/lab/openai']);
    vault.keep(kept.path, { key: 'sk-kept-2' });
    expect(await read()).toBe('sk-kept-1');
    vault.clock.ms += 60_000;
    expect(await read()).toBe('sk-kept-2');
    vault.keep(kept.path, { key: 'sk-kept-3' });
    secrets.forget(kept);
    expect(await read()).toBe('sk-kept-3');
  });

  test('is good for ten minutes more while Vault is sealed, and not for one call more once it was deleted', async () => {
    const secrets = open();
    expect(await secrets.read(kept, tenancy)).toBe('sk-kept-1');
    vault.state.status = 503;
    vault.clock.ms += 300_000;
    expect(await secrets.read(kept, tenancy)).toBe('sk-kept-1');
    vault.clock.ms += 400_000;
    expect(await failure(secrets.read(kept, tenancy))).toMatchObject({
      code: 'secret_unavailable',
      message: expect.stringMatching(/sealed/),
    });
    vault.state.status = 0;
    expect(await secrets.read(kept, tenancy)).toBe('sk-kept-1');
    vault.keep(kept.path, null);
    vault.clock.ms += 60_000;
    expect((await failure(secrets.read(kept, tenancy))).message).toMatch(/nothing at secret\/acme\/lab\/openai/);
  });

  test.each([
    ['of another org', 'secret/other/lab/openai'],
    ['of another project', 'secret/acme/labour/openai'],
    ['of Vault itself', 'sys/policies'],
    ['of another role', 'database/creds/acme.labour.reader'],
  ])('is not asked for at a path %s', async (_what, path) => {
    vault.keep(path, { key: 'OTHERS' });
    expect((await failure(open().read({ ...kept, path }, tenancy))).message).toMatch(
      /not a path that this installation opens to acme\/lab/,
    );
    expect(vault.seen).toEqual([]);
  });

  test('has to be a text: a field that is missing, empty or inherited is none', async () => {
    for (const field of ['none', 'empty', 'toString'])
      expect((await failure(open().read({ ...kept, field }, tenancy))).message).toContain(`no text in a field ${field}`);
  });
});

describe('what Vault makes on demand', () => {
  test('is one lease for all fields of a path, renewed while it is used, replaced at its longest life, given back at the end', async () => {
    const secrets = open();
    const user = await secrets.read(made('username'), tenancy);
    const password = await secrets.read(made('password'), tenancy);
    expect(vault.leases.size).toBe(1);
    expect(user).toBe('v-1');
    vault.clock.ms += 20_000;
    expect(await secrets.read(made('password'), tenancy)).toBe(password);
    vault.clock.ms += 41_000; // past its end: nobody renewed it, since the clock of the test has jumped
    expect(await secrets.read(made('password'), tenancy)).not.toBe(password);
    await secrets.close();
    expect(vault.leases.size).toBe(1); // the first ended by itself
  });

  test('is renewed in time by itself', async () => {
    Object.assign(vault.state, { leaseSeconds: 1, longestSeconds: 3600 });
    const secrets = createVaultSecrets({ address: vault.address, paths, auth: { method: 'token', token: 'root-token' } });
    vault.clock.ms = Date.now();
    const password = await secrets.read(made('password'), tenancy);
    await expect.poll(() => vault.seen.filter((line) => line === 'PUT sys/leases/renew').length, { timeout: 5000 }).toBeGreaterThan(0);
    expect(await secrets.read(made('password'), tenancy)).toBe(password);
    await secrets.close();
    expect(vault.leases.size).toBe(0);
  });

  test('is replaced when whoever was given it was refused', async () => {
    const secrets = open();
    const password = await secrets.read(made('password'), tenancy);
    secrets.forget(made('password'));
    expect(await secrets.read(made('password'), tenancy)).not.toBe(password);
  });
});

describe('a login', () => {
  test.each<[string, () => VaultAuth]>([
    ['approle', () => ({ method: 'approle', roleId: 'role-1', secretIdFile, mount: 'approle' })],
    ['kubernetes', () => ({ method: 'kubernetes', role: 'quarterdeck', tokenFile, mount: 'kubernetes' })],
  ])('by %s is made once, made again before its token ends, and when the token was revoked', async (method, auth) => {
    const secrets = open(auth());
    const logins = () => vault.seen.filter((line) => line === `POST auth/${method}/login`).length;
    const read = () => {
      secrets.forget(kept);
      return secrets.read(kept, tenancy);
    };
    await Promise.all([read(), read()]);
    await read();
    expect(logins()).toBe(1);
    vault.clock.ms += 81_000;
    await read();
    expect(logins()).toBe(2);
    vault.revokeTokens();
    expect(await read()).toBe('sk-kept-1');
    expect(logins()).toBe(3);
  });

  test('that is refused says which one, and no secret', async () => {
    writeFileSync(secretIdFile, 'WRONG-SECRET-ID');
    const secrets = open({ method: 'approle', roleId: 'role-1', secretIdFile, mount: 'approle' });
    const { message } = await failure(secrets.read(kept, tenancy));
    expect(message).toMatch(/login by approle/);
    expect(message).not.toContain('WRONG');
    writeFileSync(secretIdFile, 'secret-id-1'); // rotated on disk: the next try reads it
    expect(await secrets.read(kept, tenancy)).toBe('sk-kept-1');
  });
});

test('a reference to Vault says whose it is where something is wrong with it', async () => {
  const owner = { org: 'acme', project: 'lab', kind: 'Provider', name: 'openai', field: 'apiKey' };
  const settings = { address: vault.address, paths, auth: { method: 'token', token: 'root-token' } } as const;
  const stores = openSecretStores({ vault: settings });
  expect(await resolveSecret({ vault: kept }, { environment: {}, stores }, owner)).toBe('sk-kept-1');
  const other = { ...kept, path: 'secret/acme/lab/none' };
  expect((await failure(resolveSecret({ vault: other }, { environment: {}, stores }, owner))).message).toMatch(
    /^Provider acme\/lab\/openai, `apiKey`: Vault has nothing at secret\/acme\/lab\/none/,
  );
  expect((await failure(resolveSecret({ vault: kept }, { environment: {} }, owner))).message).toMatch(/Vault is not set up/);
});
