import { expect, test } from 'vitest';
import { readChallenge } from '../../schema/token-challenge.ts';

const nothing = { isScopeMissing: false, scopes: [], isNonceMissing: false };

test.each([
  ['Bearer', ['bearer']],
  ['bearer realm="x"', ['bearer']],
  ['DPoP algs="ES256 PS256"', ['dpop']],
  ['Bearer, DPoP algs="ES256", error="invalid_token"', ['bearer', 'dpop']],
  ['Negotiate, Basic realm="x", DPoP algs="ES256"', ['dpop']],
])('%s is a challenge of %j', (header, schemes) => {
  expect(readChallenge(401, header)).toEqual({ ...nothing, schemes });
});

test('what stands in quotes is no scheme, and what belongs to another scheme is not read', () => {
  const header = 'Basic realm="a, DPoP b", scope="theirs", Bearer scope="ours", error_description="x, DPoP error=use_dpop_nonce"';
  expect(readChallenge(401, header)).toEqual({ ...nothing, scopes: ['ours'], schemes: ['bearer'] });
});

test('a server that wants its nonce says so by the scheme DPoP alone', () => {
  expect(readChallenge(401, 'DPoP error="use_dpop_nonce"')?.isNonceMissing).toBe(true);
  expect(readChallenge(401, 'Bearer error="use_dpop_nonce"')?.isNonceMissing).toBe(false);
});

test('scopes and the place of the metadata are read of either scheme', () => {
  const header = 'DPoP error="insufficient_scope", scope="a b", resource_metadata="https://mail.example/.well-known/x"';
  const metadataUrl = 'https://mail.example/.well-known/x';
  expect(readChallenge(403, header)).toEqual({ ...nothing, isScopeMissing: true, scopes: ['a', 'b'], schemes: ['dpop'], metadataUrl });
});

test.each([
  [403, 'DPoP error="invalid_token"'],
  [200, 'DPoP error="use_dpop_nonce"'],
  [401, 'Basic realm="Bearer x"'],
  [401, undefined],
  [401, ''],
])('%i with %s is none', (status, header) => {
  expect(readChallenge(status, header)).toBeUndefined();
});
