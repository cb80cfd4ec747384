import { expect, test } from 'vitest';
import { readLogin } from '../../control/issuer/read-login.ts';
import { IdentityProviderSpecSchema } from '../../schema/resources/identity-provider.ts';

const spec = IdentityProviderSpecSchema.parse({ issuer: 'https://login.example.test', clientId: 'c', claims: { username: 'name' } });

test('nobody logs in under the name that a machine client will have', () => {
  expect(readLogin('default', spec, { sub: 's', name: 'client-default-nightly' })).toMatchObject({ ok: false });
  expect(readLogin('default', spec, { sub: 's', name: 'clients' })).toMatchObject({ ok: true, login: { username: 'clients' } });
});
