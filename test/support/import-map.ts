import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { importsOf } from './imports-of.ts';

/** What one folder of the map may import. Folders and packages stand as in the map; `'any'` is for tests. */
export type MapRow = {
  readonly folder: string;
  readonly imports: readonly string[] | 'any';
  /** Folders of which it may import types alone. */
  readonly typesOf?: readonly string[];
  /** The npm packages it may import; all where this is missing. */
  readonly packages?: readonly string[];
  /** Runs where there is no Node: in a workflow sandbox. */
  readonly withoutNode?: boolean;
  /** Its parts (subfolders) may not import each other, nor files beside the parts. */
  readonly partsApart?: boolean;
};

/** Path of a source file from the root, with `/`, and its text. */
export type SourceFile = { path: string; text: string };

/** The row whose folder holds `path`; the innermost one, so `schema/tables/` before `schema/`. */
export const rowOf = (rows: readonly MapRow[], path: string): MapRow | undefined =>
  rows
    .filter(({ folder }) => path.startsWith(`${folder}/`))
    .sort((one, other) => other.folder.length - one.folder.length)
    .at(0);

/**
 * Compares the imports of `files` with the map.
 * @returns one sentence per import that the map does not allow, with file and line
 */
export const findImportViolations = (rows: readonly MapRow[], files: readonly SourceFile[]): string[] => {
  const known = new Set(files.map(({ path }) => path));
  return files.flatMap((file) => {
    const row = rowOf(rows, file.path);
    return importsOf(file.text).flatMap(({ specifier, line, typeOnly }) => {
      const target = posix.join(posix.dirname(file.path), specifier);
      const reason = specifier.startsWith('.')
        ? whyRelativeIsRefused({ rows, row, from: file.path, target, typeOnly, known })
        : whyPackageIsRefused(row, specifier);
      return reason === undefined ? [] : [`${file.path}:${line} imports ${specifier}: ${reason}`];
    });
  });
};

type RelativeImport = {
  rows: readonly MapRow[];
  row: MapRow | undefined;
  from: string;
  target: string;
  typeOnly: boolean;
  known: ReadonlySet<string>;
};

const whyRelativeIsRefused = ({ rows, row, from, target, typeOnly, known }: RelativeImport): string | undefined => {
  if (!/\.(ts|tsx|mts|mjs|json)$/.test(target)) return 'a relative import carries its extension, `.ts`';
  if (row === undefined || row.imports === 'any' || target === 'package.json') return undefined;
  if (!target.endsWith('.json') && !known.has(target)) return `there is no ${target}`;
  const other = rowOf(rows, target);
  if (other === undefined) return `${target} is in no folder of the map`;
  if (other === row) {
    return row.partsApart && partOf(row, from) !== partOf(row, target)
      ? `the parts of ${row.folder}/ meet only through other folders`
      : undefined;
  }
  if (row.imports.includes(other.folder)) return undefined;
  if (row.typesOf?.some((folder) => target.startsWith(`${folder}/`)))
    return typeOnly ? undefined : `${row.folder}/ may import only its types`;
  return `${row.folder}/ may import ${row.imports.join(', ') || 'no other folder'}`;
};

/** `api` of `control/api/show.ts`; empty for a file beside the parts. */
const partOf = ({ folder }: MapRow, path: string): string => path.slice(folder.length + 1).match(/^([^/]+)\//)?.[1] ?? '';

const whyPackageIsRefused = (row: MapRow | undefined, specifier: string): string | undefined => {
  if (isBuiltin(specifier))
    return row?.withoutNode ? `${row.folder}/ runs without Node: time, ids and randomness come in as arguments` : undefined;
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  return row?.packages !== undefined && !row.packages.includes(name)
    ? `of npm packages ${row.folder}/ may import ${row.packages.join(', ') || 'none'}`
    : undefined;
};
