import { expect, test } from 'vitest';
import { jsonSchemaOf } from '../../schema/resource.ts';
import { validateResource } from '../../schema/validate-resource.ts';

const resource = (kind: string, spec: object) =>
  validateResource({ apiVersion: 'quarterdeck.dev/v1alpha1', kind, metadata: { name: 'company' }, spec });
const issuesOf = (kind: string, spec: object) => {
  const result = resource(kind, spec);
  return result.ok ? [] : result.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
};

const provider = { issuer: 'https://login.example.test', clientId: 'quarterdeck' };

test('an IdentityProvider needs an issuer and a client id; the mapping has defaults, and gives nobody a role', () => {
  expect(resource('IdentityProvider', provider)).toMatchObject({
    ok: true,
    resource: {
      spec: {
        scopes: ['openid', 'profile', 'email'],
        claims: { subject: 'sub', email: 'email', name: 'name', groups: 'groups' },
        audiences: [],
      },
    },
  });
  const result = resource('IdentityProvider', provider);
  expect(result.ok && 'roles' in (result.resource.spec as { claims: object }).claims).toBe(false);
});

test('an IdentityProvider is refused by name where it is not safe or not known', () => {
  expect(issuesOf('IdentityProvider', { ...provider, issuer: 'http://login.example.test' })).toEqual([
    'spec.issuer: expected an https URL; http is for an issuer on this machine',
  ]);
  expect(issuesOf('IdentityProvider', { ...provider, issuer: 'http://127.0.0.1:9000' })).toEqual([]);
  expect(issuesOf('IdentityProvider', { ...provider, scopes: ['profile'] })).toEqual([
    'spec.scopes: expected `openid` among them: without it nobody is named',
  ]);
  expect(issuesOf('IdentityProvider', { ...provider, clientSecret: 'in-plain' })[0]).toMatch(/^spec\.clientSecret/);
  expect(issuesOf('IdentityProvider', { ...provider, claims: { group: 'groups' } })[0]).toContain('there is no field `group` here');
});

test('an OAuthClient says where people are sent back to: https, this machine, or a scheme of its own', () => {
  const client = (uri: string) => issuesOf('OAuthClient', { redirectUris: [uri] });
  for (const uri of [
    'https://app.example.test/callback',
    'http://127.0.0.1/callback',
    'http://localhost:3000/cb',
    'com.example.app:/cb',
    'editor://vendor.plugin/oauth',
  ])
    expect(client(uri)).toEqual([]);
  for (const uri of [
    'javascript://x/%0aalert(1)',
    'file:///etc/passwd',
    'app:callback',
    'http://app.example.test/cb',
    'javascript:alert(1)',
    'data:text/html,x',
    'https://app.example.test/cb#x',
    '/callback',
  ])
    expect(client(uri)[0]).toMatch(/^spec\.redirectUris\.0: expected/);
});

test('both can be described', () => {
  for (const kind of ['IdentityProvider', 'OAuthClient'] as const) expect(jsonSchemaOf(kind)).toMatchObject({ type: 'object' });
});
