import { parse, TomlError } from 'smol-toml';
import { CliError } from '../output/cli-error.ts';
import type { Addition, ConfigFormat } from './config-format.ts';
import { lineEndOf, type TextEdit } from './text-edit.ts';
import { type TomlLine, tomlLines } from './toml-lines.ts';

const read = (text: string, file: string): Record<string, unknown> => {
  try {
    // Plain data: what parsers make of TOML has dates of its own, and objects without a prototype.
    return JSON.parse(JSON.stringify(parse(text)));
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const message = cause.message.split('\n', 1)[0]?.replace('Invalid TOML document: ', '') ?? '';
    throw new CliError(`${file} cannot be read, so nothing was changed`, {
      code: 'input_invalid',
      issues: [{ place: `${file}:${cause.line}:${cause.column}`, field: '', message }],
      next: 'correct that line, or use --print and add the entry yourself',
      cause,
    });
  }
};

/** JSON's texts and lists of texts are TOML's too. */
const tableOf = ({ container, name, value }: Addition): string[] => [
  `[${container}.${name}]`,
  ...Object.entries(value).map(
    ([key, item]) => `${key} = ${Array.isArray(item) ? `[${item.map((each) => JSON.stringify(each)).join(', ')}]` : JSON.stringify(item)}`,
  ),
  '',
];

const write = (additions: readonly Addition[]): string => additions.map((addition) => tableOf(addition).join('\n')).join('\n');

/** A table of its own at the end, where it cannot end up in another. */
const add = (text: string, addition: Addition): TextEdit[] => {
  const lineEnd = lineEndOf(text);
  const gap = text === '' ? '' : text.endsWith('\n') ? lineEnd : lineEnd + lineEnd;
  return [{ offset: text.length, length: 0, content: gap + tableOf(addition).join(lineEnd) }];
};

const isHeader = ({ text, isStart }: TomlLine): boolean => isStart && /^\s*\[/.test(text);
const saysNothing = ({ text, isStart }: TomlLine): boolean => isStart && /^\s*(#.*)?\s*$/.test(text);

/** Takes out the table and the tables in it, each from its header to its last line with a value; comments behind that stay. */
const remove = (text: string, { container, name }: Addition): TextEdit[] => {
  const own = new RegExp(`^\\s*\\[\\s*${container}\\s*\\.\\s*(?:${name}|"${name}"|'${name}')\\s*(?:\\.[^\\]]*)?\\]`);
  const lines = tomlLines(text);
  const taken = new Set<TomlLine>();
  for (const [index, line] of lines.entries()) {
    if (!isHeader(line) || !own.test(line.text)) continue;
    const rest = lines.slice(index + 1);
    const next = rest.findIndex(isHeader);
    const table = [line, ...(next === -1 ? rest : rest.slice(0, next))];
    const end = table.findLastIndex((each) => !saysNothing(each)) + 1;
    // An empty line in front divided it from the table before.
    const [gap] = lines.slice(Math.max(index - 1, 0), index).filter((each) => each.text.trim() === '');
    for (const each of [...(gap ? [gap] : []), ...table.slice(0, end)]) taken.add(each);
  }
  const kept = lines.filter((line) => !taken.has(line)).map((line) => line.text);
  return taken.size === 0 ? [] : [{ offset: 0, length: text.length, content: kept.join('') }];
};

/** TOML, changed as text so that comments and spellings stay; whoever uses this compares what it reads before and after. */
export const tomlFormat: ConfigFormat = { read, add, remove, write };
