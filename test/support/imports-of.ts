/** One import of a source file. `line` counts from 1; `typeOnly` for `import type` and `export type`, which leave nothing at run time. */
export type SourceImport = { specifier: string; line: number; typeOnly: boolean };

// The formatter puts every static import at the start of a line; `[^;'"]` keeps a match within one statement.
const staticImport = /^(import|export)(\s+type(?=[\s{*]))?(?:\s+[^;'"]*?\sfrom\s*|\s*)(['"])([^'"\n]+)\3/gm;
const dynamicImport = /\b(?:import|require)\(\s*(['"])([^'"\n]+)\1/g;
const commentLine = /^\s*(\/\/|\/?\*)/;

/**
 * The imports of a formatted TypeScript or JavaScript source, static and dynamic, in order of their lines. A dynamic import whose
 * argument is computed is not seen.
 */
export const importsOf = (source: string): SourceImport[] => {
  const lineAt = (index: number) => source.slice(0, index).split('\n').length;
  const textOfLine = (line: number) => source.split('\n')[line - 1] ?? '';

  const statics = [...source.matchAll(staticImport)].map((match) => ({
    specifier: match[4] ?? '',
    line: lineAt(match.index),
    typeOnly: match[2] !== undefined,
  }));
  const dynamics = [...source.matchAll(dynamicImport)]
    .map((match) => ({ specifier: match[2] ?? '', line: lineAt(match.index), typeOnly: false }))
    .filter(({ line }) => !commentLine.test(textOfLine(line)));
  return [...statics, ...dynamics].sort((one, other) => one.line - other.line);
};
