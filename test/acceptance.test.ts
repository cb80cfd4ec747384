import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { acceptance, acceptanceFamilies } from './acceptance.ts';
import { caseIds } from './support/acceptance-status.ts';

const root = join(import.meta.dirname, '..');

/** Titles of tests made from a table, as forms that the name of each row fits. */
const tableTitles = (source: string): RegExp[] =>
  [...source.matchAll(/(['`])((?:(?!\1).)*%[sj](?:(?!\1).)*)\1/g)].map(
    ([, , title = '']) => new RegExp(`^${title.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/%[sj]/g, '.+')}$`),
  );

/** What a test file says, and the contracts of tests that it holds something to. */
const sourceOf = (file: string): string => {
  const source = readFileSync(join(root, file), 'utf8');
  const contracts = [...source.matchAll(/from '([./]+(?:support\/)?[\w-]+-contract\.ts)'/g)].map(([, path = '']) =>
    join(root, file, '..', path),
  );
  return [source, ...contracts.map((path) => readFileSync(path, 'utf8'))].join('\n').replaceAll("\\'", "'");
};

test('every claim belongs to a case of the list, and no clause of a case is claimed twice', () => {
  const ids = new Set(acceptanceFamilies.flatMap(caseIds));
  const names = acceptance.map(({ id, clause }) => `${id} ${clause}`);
  expect(names.filter((name) => !ids.has(name.split(' ')[0] ?? ''))).toEqual([]);
  expect(names.filter((name) => !/ [a-z]$/.test(name))).toEqual([]);
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

test('every claim says in words what is promised', () => {
  expect(acceptance.filter(({ text }) => text.trim().length < 10).map(({ id, clause }) => `${id} ${clause}`)).toEqual([]);
});

test('a claim says which suite proves it, where that is one that no gate runs', () => {
  const suiteOf = (file: string) =>
    /^test\/soak\/.+\.test\.ts$/.test(file) ? 'soak' : /\.(?<suite>fuzz|figures)\.ts$/.exec(file)?.groups?.suite;
  expect(acceptance.filter(({ test: name, suite }) => suiteOf(name.split(' › ')[0] ?? '') !== suite)).toEqual([]);
});

test('every claim names a test file that exists and holds a test of that name', () => {
  const broken = acceptance.flatMap(({ id, clause, test: name }) => {
    const [file = '', ...titles] = name.split(' › ');
    if (!/^test\/.+\.(test|fuzz|figures)\.ts$/.test(file) || !existsSync(join(root, file)))
      return [`${id} ${clause}: there is no file ${file}`];
    const source = sourceOf(file);
    const missing = titles.filter((title) => !source.includes(title) && !tableTitles(source).some((form) => form.test(title)));
    return titles.length === 0
      ? [`${id} ${clause}: names no test`]
      : missing.map((title) => `${id} ${clause}: ${file} holds no “${title}”`);
  });
  expect(broken).toEqual([]);
});
