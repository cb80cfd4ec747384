import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findImportCircles } from './support/import-circles.ts';
import { findImportViolations, type MapRow, rowOf } from './support/import-map.ts';

const pure = ['schema', 'agents', 'reconcile', 'policy'];
const ground = ['schema/tables', 'telemetry', 'store', 'store/secrets'];
const durable = ['activities', 'activities/targets', 'workflows'];
const planes = ['gateway', 'runtime', 'control'];

/** The map: a row names all other folders of ours that its folder imports, and stands below them. A part with a row is a folder of its own. */
const map: readonly MapRow[] = [
  { folder: 'schema', imports: [], packages: ['zod'], withoutNode: true },
  { folder: 'agents', imports: ['schema'], withoutNode: true },
  { folder: 'reconcile', imports: ['schema'], withoutNode: true },
  { folder: 'policy', imports: ['schema'] },

  { folder: 'schema/tables', imports: ['schema'], packages: ['drizzle-orm'] },
  { folder: 'telemetry', imports: ['schema'] },
  { folder: 'store/secrets', imports: ['schema', 'schema/tables', 'telemetry'] },
  { folder: 'store', imports: ['schema', 'schema/tables', 'telemetry', 'store/secrets'] },

  { folder: 'activities/targets', imports: ['schema', 'agents', 'policy', 'reconcile', 'store', 'store/secrets', 'telemetry'] },
  {
    folder: 'activities',
    imports: ['schema', 'agents', 'policy', 'reconcile', 'store', 'store/secrets', 'telemetry', 'activities/targets'],
  },
  {
    folder: 'workflows',
    imports: ['schema', 'agents', 'reconcile'],
    typesOf: ['activities'],
    packages: ['@temporalio/workflow'],
    withoutNode: true,
  },

  { folder: 'gateway', imports: ['schema', 'policy', 'store', 'store/secrets', 'telemetry'] },
  { folder: 'runtime', imports: ['schema', 'store/secrets', 'telemetry'] },
  {
    folder: 'control',
    imports: ['schema', 'policy', 'reconcile', 'store', 'store/secrets', 'telemetry', 'activities/targets'],
    typesOf: ['workflows'],
    partsApart: true,
  },

  { folder: 'console', imports: ['schema'], typesOf: ['control/api'] },
  { folder: 'bench', imports: [...pure, ...ground, ...durable, ...planes] },
  // The look-ups that the set-up scripts and `up` share live where `up` may import them, and import nothing of ours themselves.
  { folder: 'cli/setup', imports: [] },
  { folder: 'cli', imports: [...pure, ...ground, ...durable, ...planes, 'bench', 'cli/setup'] },

  { folder: 'examples', imports: [] },
  { folder: 'deploy', imports: ['cli/setup'] },
  { folder: 'docs', imports: [] },
  { folder: 'test', imports: 'any' },
];

const root = join(import.meta.dirname, '..');
/** Made by tools, not part of the source: what .gitignore names, and folders whose name begins with a dot. */
const isGenerated = (name: string) => name.startsWith('.') || ['node_modules', 'coverage', 'dist', 'test-results'].includes(name);

const listSources = (folder: string): string[] =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return isGenerated(entry.name) ? [] : listSources(path);
    return /\.(ts|tsx|mts|mjs)$/.test(entry.name) ? [path] : [];
  });

const sources = listSources('').map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

test('every import is one that the map allows', () => {
  expect(findImportViolations(map, sources)).toEqual([]);
});

test('the map has no cycles: each row imports only rows above it', () => {
  const upward = map.flatMap(({ folder, imports, typesOf = [] }, index) => {
    const above = map.slice(0, index);
    const rows = imports === 'any' ? [] : imports.filter((name) => !above.some((row) => row.folder === name));
    const parts = typesOf.filter((name) => rowOf(above, `${name}/`) === undefined);
    return [...rows, ...parts].map((name) => `${folder} -> ${name}`);
  });
  expect(upward).toEqual([]);
});

test('no files import each other in a circle, not even types', () => {
  expect(findImportCircles(sources)).toEqual([]);
  const file = (path: string, other: string) => ({ path, text: `import type { x } from '${other}';\n` });
  expect(findImportCircles([file('a/one.ts', './two.ts'), file('a/two.ts', '../b/three.ts'), file('b/three.ts', '../a/one.ts')])).toEqual([
    'a/one.ts -> a/two.ts -> b/three.ts -> a/one.ts',
  ]);
});

test('every top-level folder is on the map (a new one needs a page in docs/decisions and a row here)', () => {
  const folders = readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory() && !isGenerated(entry.name));
  expect(folders.map(({ name }) => name).filter((name) => rowOf(map, `${name}/`) === undefined)).toEqual([]);
});

test('index.ts stands only at the package entry, in workflows/ and in activities/', () => {
  const allowed = ['index.ts', 'workflows/index.ts', 'activities/index.ts'];
  expect(sources.map(({ path }) => path).filter((path) => /(^|\/)index\.\w+$/.test(path) && !allowed.includes(path))).toEqual([]);
});

test('a part has files and at most one more level of folders', () => {
  const parts = [...pure, ...ground, ...durable, ...planes, 'cli'];
  const deep = sources.filter(({ path }) => parts.includes(path.split('/')[0] ?? '') && path.split('/').length > 3);
  expect(deep.map(({ path }) => path)).toEqual([]);
});

test('an import outside the map is named with its file, its line and what is allowed', () => {
  const violations = findImportViolations(map, [
    { path: 'control/api/show.ts', text: "\nimport { x } from '../issuer/key.ts';\nimport {\n  y,\n} from '../../gateway/main.ts';\n" },
    {
      path: 'control/issuer/key.ts',
      text: "import type { w } from '../../workflows/fleet.ts';\nexport { w } from '../../workflows/fleet.ts';\n",
    },
    { path: 'gateway/main.ts', text: "import './start';\nconst late = await import('./gone.ts');\n" },
    {
      path: 'workflows/fleet.ts',
      text: "import { Client } from '@temporalio/client';\nexport * from 'node:fs';\n// see import('../cli/main.ts')\n",
    },
  ]);
  expect(violations).toEqual([
    'control/api/show.ts:2 imports ../issuer/key.ts: the parts of control/ meet only through other folders',
    expect.stringMatching(/^control\/api\/show\.ts:3 imports \.\.\/\.\.\/gateway\/main\.ts: control\/ may import schema, policy, /),
    'control/issuer/key.ts:2 imports ../../workflows/fleet.ts: control/ may import only its types',
    'gateway/main.ts:1 imports ./start: a relative import carries its extension, `.ts`',
    'gateway/main.ts:2 imports ./gone.ts: there is no gateway/gone.ts',
    'workflows/fleet.ts:1 imports @temporalio/client: of npm packages workflows/ may import @temporalio/workflow',
    'workflows/fleet.ts:2 imports node:fs: workflows/ runs without Node: time, ids and randomness come in as arguments',
  ]);
});
