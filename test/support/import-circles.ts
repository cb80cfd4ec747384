import { posix } from 'node:path';
import type { SourceFile } from './import-map.ts';
import { importsOf } from './imports-of.ts';

/**
 * Finds files that import each other in a circle, types too: whoever reads one of them has to read all.
 * @returns one line per circle that a walk along the imports closes, e.g. `a.ts -> b.ts -> a.ts`
 */
export const findImportCircles = (files: readonly SourceFile[]): string[] => {
  const imports = new Map(
    files.map(({ path, text }) => [
      path,
      importsOf(text).flatMap(({ specifier }) => (specifier.startsWith('.') ? [posix.join(posix.dirname(path), specifier)] : [])),
    ]),
  );
  const left = new Set<string>();
  const circles: string[] = [];
  const walk = (path: string, way: readonly string[]): void => {
    const met = way.indexOf(path);
    if (met >= 0) return void circles.push([...way.slice(met), path].join(' -> '));
    if (left.has(path)) return;
    for (const next of imports.get(path) ?? []) walk(next, [...way, path]);
    left.add(path);
  };
  for (const path of imports.keys()) walk(path, []);
  return circles;
};
