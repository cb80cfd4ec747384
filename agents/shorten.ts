/** A careful estimate: most texts have more characters to a token. */
export const charactersPerToken = 3;

/** Cuts a text to about `most` characters and says so; both ends are kept, the beginning longer. */
export const shorten = (text: string, most: number): string => {
  if (text.length <= most) return text;
  const head = Math.max(0, Math.floor(most * 0.8));
  const tail = Math.max(0, most - head);
  return `${text.slice(0, head)}\n… [${text.length - head - tail} characters left out] …\n${tail > 0 ? text.slice(-tail) : ''}`;
};

/**
 * Finds the length to which the longest of some texts are cut so that all together fit; short ones stay whole.
 * @param least - no text is cut below this, whether it fits or not
 */
export const fairLength = (lengths: readonly number[], budget: number, least: number): number => {
  let remaining = budget;
  const ascending = [...lengths].sort((a, b) => a - b);
  for (const [index, length] of ascending.entries()) {
    const share = Math.floor(remaining / (ascending.length - index));
    if (length > share) return Math.max(least, share);
    remaining -= length;
  }
  return Math.max(least, ascending.at(-1) ?? 0);
};
