import { plainText } from './plain-text.ts';

/** Lays rows out in columns, two spaces apart; empty cells are `-`. Nothing is cut: who pipes it wants all of it. */
export const renderTable = (head: string[], rows: string[][]): string => {
  const cells = [head, ...rows.map((row) => head.map((_name, index) => plainText(row[index] || '-')))];
  const widths = head.map((_name, index) => Math.max(...cells.map((row) => row[index]?.length ?? 0)));
  return cells
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
};
