/**
 * Breaks a text into lines between words; a word that is longer than a line is broken where the line ends.
 * @param columns - width of a line, in characters
 * @param options.mostLines - of a longer text the rest is left out, and `…` says so
 */
export const wrapText = (
  text: string,
  columns: number,
  { mostLines = Number.POSITIVE_INFINITY }: { mostLines?: number } = {},
): string[] => {
  const lines: string[] = [];
  let rest = text.trim();
  while (rest.length > columns && lines.length < mostLines - 1) {
    const blank = rest.lastIndexOf(' ', columns);
    const end = blank > 0 ? blank : columns;
    lines.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest.length > columns ? `${rest.slice(0, Math.max(0, columns - 1))}…` : rest];
};
