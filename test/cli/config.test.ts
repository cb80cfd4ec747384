import { expect, test } from 'vitest';
import { readConfig } from '../../cli/config.ts';

test('fills in defaults, and takes an empty variable for one that is not set', () => {
  const config = readConfig({ DATABASE_URL: '', XDG_DATA_HOME: '/data' });
  expect(config).toMatchObject({
    databaseUrl: undefined,
    temporalNamespace: 'default',
    dataDirectory: '/data/quarterdeck',
    logLevel: 'info',
    colours: true,
  });
});

test('names the variable and what is expected, and never its value', () => {
  expect(() => readConfig({ DATABASE_URL: 'mysql://user:hunter2@host/name' })).toThrow(
    /^The environment variable DATABASE_URL cannot be used: expected a URL such as postgres:[^.]*\.$/,
  );
  expect(() => readConfig({ TEMPORAL_ADDRESS: 'http://host' })).toThrow(/TEMPORAL_ADDRESS.*a host and a port/);
  expect(() => readConfig({ LOG_LEVEL: 'loud' })).toThrow(/LOG_LEVEL.*one of trace, debug/);
});

test('takes the slash off the end of QUARTERDECK_URL', () => {
  expect(readConfig({ QUARTERDECK_URL: 'http://127.0.0.1:7420/' }).url).toBe('http://127.0.0.1:7420');
});
