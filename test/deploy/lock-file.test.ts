import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

type LockedPackage = { version?: string; optionalDependencies?: Record<string, string> };

const { packages } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package-lock.json'), 'utf8')) as {
  packages: Record<string, LockedPackage>;
};

// `npm install` leaves out what its registry did not have at that moment, and `npm ci` then refuses the lock file everywhere.
test('the lock file names the packages of all systems, not only of the one where it was written', () => {
  const locked = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
  const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) => Object.entries(optionalDependencies));
  expect(wanted.filter(([name]) => !locked.has(name)).map(([name, version]) => `${name}@${version}`)).toEqual([]);
});
