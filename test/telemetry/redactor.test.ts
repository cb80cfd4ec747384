import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createRedactor } from '../../telemetry/redactor.ts';
import { growthOfTime } from '../support/grows-with-length.ts';

const key = Buffer.alloc(32, 7);
const secret = 'pässw0rd/with "quotes"+& \\ and spaces';
const redactor = createRedactor(key);
redactor.know(secret);

const json = JSON.stringify(secret);
const forms: [string, string][] = [
  ['as it is', secret],
  ['in JSON', json],
  ['in JSON inside JSON', JSON.stringify(json)],
  ['in a URL', encodeURIComponent(secret)],
  ['in a form', new URLSearchParams({ secret }).toString().replace('secret=', '')],
  ['in hexadecimal', Buffer.from(secret).toString('hex')],
  ['in base64', Buffer.from(secret).toString('base64')],
  ['in base64url', Buffer.from(secret).toString('base64url')],
  ['in a basic login', Buffer.from(`me:${secret}`).toString('base64')],
  ['in base64 after two bytes', Buffer.from(`ab${secret}cd`).toString('base64')],
];

describe('a known secret', () => {
  test.each(forms)('%s is replaced by its fingerprint', (_how, text) => {
    const clean = redactor.text(`before ${text} after`);
    expect(clean).toContain(redactor.fingerprint(secret));
    expect(clean).toMatch(/^before .* after$/);
    for (const [, form] of forms) expect(clean).not.toContain(form.slice(3, -3));
  });

  test('of any characters is found in what JSON, a URL or base64 makes of it, wherever it stands', () => {
    const anything = fc.string({ unit: 'grapheme', minLength: 12, maxLength: 40 });
    const beside = fc.string({ maxLength: 5 });
    fc.assert(
      fc.property(anything, beside, beside, (value, before, after) => {
        const own = createRedactor(key);
        own.know(value);
        const text = before + value + after;
        const fingerprint = own.fingerprint(value);
        expect(own.text(text)).toContain(fingerprint);
        expect(own.text(JSON.stringify({ text }))).toContain(fingerprint);
        expect(own.text(encodeURIComponent(text.toWellFormed()))).toContain(fingerprint);
        expect(own.text(Buffer.from(text).toString('base64'))).toContain(fingerprint);
      }),
      { numRuns: 300 },
    );
  });

  test('has one fingerprint under one key, and another under another', () => {
    const other = createRedactor(Buffer.alloc(32, 8));
    other.know(secret);
    expect(createRedactor(key).fingerprint(secret)).toBe(redactor.fingerprint(secret));
    expect(other.text(secret)).not.toBe(redactor.text(secret));
    other.useKey(key);
    expect(other.text(secret)).toBe(redactor.text(secret));
  });

  test('that is too short to tell from a word is left to the names of fields', () => {
    const own = createRedactor(key);
    own.know('the');
    expect(own.text('the cat')).toBe('the cat');
  });
});

describe('what has the shape of a secret', () => {
  const part = 'eyJhbGciOiJFUzI1NiJ9';
  test.each([
    ['a web token', `${part}.eyJzdWIiOiJhIn0.MEUCIQDx-_abc`],
    ['an encrypted web token', `${part}.eyJhIn0abc.bbbb.cccc.dddd`],
    ['a bearer token', 'Bearer abcdefghijklmnop0123'],
    ['a private key', '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\n-----END EC PRIVATE KEY-----'],
    ['a private key in JSON', '-----BEGIN PRIVATE KEY-----\\nMHcCAQEEIB\\n-----END PRIVATE KEY-----'],
    ['a key of a model provider', 'sk-proj-0123456789abcdefXYZ'],
    ['a token of a forge', 'ghp_0123456789abcdefghijABCDEFGHIJ012345'],
    ['a token of ours', 'qd_0123456789abcdefghijABC'],
    ['a cloud key', 'AKIAIOSFODNN7EXAMPLE'],
  ])('%s is replaced, whatever stands beside it', (_what, text) => {
    expect(redactor.text(`(${text}) and "${text}"`)).toMatch(/^\(\[secret:[0-9a-f]{12}\]\) and "\[secret:[0-9a-f]{12}\]"$/);
  });

  test('the password of a URL is, and the rest of the URL stays', () => {
    expect(redactor.text('postgres://me:hunter2-and-more@db:5432/x')).toMatch(/^postgres:\/\/me:\[secret:[0-9a-f]{12}\]@db:5432\/x$/);
  });

  test.each(['run_0123456789abcdef', 'a plain line', 'https://host:7420/mcp', 'sk-short', '{"at":"2026-11-30T01:02:03Z"}'])(
    '%s is none',
    (text) => {
      expect(redactor.text(text)).toBe(text);
    },
  );

  test.each(['eyJ', 'eyJ-', '.eyJ', 'eyJ.eyJ.', 'Bearer ', 'sk-', 'a://a:', '-----BEGIN ', '-----BEGIN PRIVATE KEY-----', 'ghp_'])(
    'a megabyte of %j takes time that grows with its length, and no more',
    (piece) => {
      expect(growthOfTime(piece, (text) => void redactor.text(text))).toBeLessThan(32);
    },
  );
});
