type Edit = { sign: ' ' | '-' | '+'; line: string };

const context = 3;

/** Longest common subsequence of two lists of lines, as edits. Quadratic, which declarations of some hundred lines can bear. */
const edits = (before: string[], after: string[]): Edit[] => {
  const width = after.length + 1;
  const lengths = new Uint32Array((before.length + 1) * width);
  const at = (row: number, column: number): number => lengths[row * width + column] ?? 0;
  for (let row = before.length - 1; row >= 0; row -= 1)
    for (let column = after.length - 1; column >= 0; column -= 1)
      lengths[row * width + column] =
        before[row] === after[column] ? at(row + 1, column + 1) + 1 : Math.max(at(row + 1, column), at(row, column + 1));
  const result: Edit[] = [];
  let row = 0;
  let column = 0;
  while (row < before.length || column < after.length) {
    const isSame = row < before.length && column < after.length && before[row] === after[column];
    if (isSame) result.push({ sign: ' ', line: before[row++] ?? '' });
    if (isSame) column += 1;
    else if (row < before.length && (column === after.length || at(row + 1, column) >= at(row, column + 1)))
      result.push({ sign: '-', line: before[row++] ?? '' });
    else result.push({ sign: '+', line: after[column++] ?? '' });
  }
  return result;
};

/** Groups of edits that lie close together, as index ranges with their context. */
const hunksOf = (all: Edit[]): { start: number; end: number }[] => {
  const hunks: { start: number; end: number }[] = [];
  for (const [index, { sign }] of all.entries()) {
    if (sign === ' ') continue;
    const last = hunks.at(-1);
    if (last && index - context <= last.end) last.end = Math.min(all.length, index + context + 1);
    else hunks.push({ start: Math.max(0, index - context), end: Math.min(all.length, index + context + 1) });
  }
  return hunks;
};

const linesOf = (text: string): string[] => (text === '' ? [] : text.split('\n'));

/** The unified format of two texts, as `diff -u` writes it; empty when they are equal. */
export const unifiedDiff = (before: string, after: string, names: { before: string; after: string }): string => {
  const all = edits(linesOf(before), linesOf(after));
  const hunks = hunksOf(all);
  if (hunks.length === 0) return '';
  const lines = [`--- ${names.before}`, `+++ ${names.after}`];
  for (const { start, end } of hunks) {
    const count = (edits: Edit[], without: Edit['sign']): number => edits.filter(({ sign }) => sign !== without).length;
    const [lead, hunk] = [all.slice(0, start), all.slice(start, end)];
    const range = (without: Edit['sign']): string => {
      const length = count(hunk, without);
      return `${count(lead, without) + (length > 0 ? 1 : 0)},${length}`;
    };
    lines.push(`@@ -${range('+')} +${range('-')} @@`, ...hunk.map(({ sign, line }) => `${sign}${line}`));
  }
  return lines.join('\n');
};
