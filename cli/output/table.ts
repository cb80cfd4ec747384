import { plainText } from './plain-text.ts';
import { wrapText } from './wrap-text.ts';

/** Lays rows out in columns, two spaces apart; empty cells are `-`. Nothing is cut: who pipes it wants all of it. */
export const renderTable = (head: string[], rows: string[][]): string => tableLines(head, rows).join('\n');

const tableLines = (head: string[], rows: string[][]): string[] => {
  const cells = [head, ...rows.map((row) => head.map((_name, index) => plainText(row[index] || '-')))];
  const widths = head.map((_name, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
};

const isWithin = (lines: readonly string[], columns: number): boolean => lines.every((line) => line.length <= columns);
/** Of a text below its row; `--wide` and the other formats have all of it. */
const mostLinesBelow = 3;
const indent = '  ';

/**
 * The same on a screen: where the table is too wide for it, columns go below their rows, one after another until the rest fits. Ids stay
 * whole, because people copy them.
 * @param options.columns - width of the screen; undefined where there is none, which shows all in one line
 * @param options.below - the columns that may go below, by their heads, the first of them first
 */
export const renderTableWithin = (
  head: string[],
  rows: string[][],
  { columns, below }: { columns: number | undefined; below: readonly string[] },
): string => {
  for (let moved = 0; columns !== undefined; moved += 1) {
    const isKept = (name: string): boolean => !below.slice(0, moved).includes(name);
    const lines = tableLines(
      head.filter(isKept),
      rows.map((row) => row.filter((_cell, index) => isKept(head[index] ?? ''))),
    );
    if (!isWithin(lines, columns) && moved < below.length) continue;
    if (moved === 0) return lines.join('\n');
    const [heads = '', ...kept] = lines;
    const textsOf = (row: string[]): string[] =>
      head.flatMap((name, index) => {
        if (isKept(name) || !row[index]) return [];
        const label = `${indent}${name.toLowerCase()}: `;
        const most = Math.max(20, columns - label.length);
        const [first = '', ...more] = wrapText(plainText(row[index]), most, { mostLines: mostLinesBelow });
        return [`${label}${first}`, ...more.map((line) => `${' '.repeat(label.length)}${line}`)];
      });
    return [heads, ...kept.flatMap((line, index) => [line, ...textsOf(rows[index] ?? [])])].join('\n');
  }
  return renderTable(head, rows);
};
