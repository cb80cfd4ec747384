import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { errorKinds, isPlatformError, PlatformError, problemDetails, toPlatformError } from '../../schema/errors.ts';

test('each code has a row in the page of errors, with its own status, and no row is of a code that is not there', () => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (\d+) \| (yes|no) \|/gm)].map(([, code, status, again]) => [
    code,
    Number(status),
    again === 'yes',
  ]);
  expect(rows).toEqual(Object.entries(errorKinds).map(([code, { status, retryable }]) => [code, status, retryable]));
});

test('an error is known by its mark, not its class, and a foreign one is shown as internal', () => {
  expect(isPlatformError(new PlatformError('conflict', 'x'))).toBe(true);
  expect(isPlatformError({ [Symbol.for('quarterdeck.PlatformError')]: true })).toBe(true);
  const error = toPlatformError(new Error('password=hunter2'));
  expect(error.code).toBe('internal');
  expect(JSON.stringify(problemDetails(error, 'req_1'))).not.toContain('hunter2');
});
