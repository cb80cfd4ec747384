/** Whether a text fits a pattern in which `*` stands for any characters; takes no longer than the text is, whatever the pattern. */
const fits = (pattern: string, text: string): boolean => {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return pattern === text;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
};

/** Whether a toolset lets a URI, or a URI template as text, through: the last pattern that fits decides, and `!` takes out. */
export const matchesPatterns = (patterns: 'all' | 'none' | readonly string[], uri: string): boolean => {
  if (patterns === 'all' || patterns === 'none') return patterns === 'all';
  let isIn = false;
  for (const pattern of patterns) {
    const isOut = pattern.startsWith('!');
    if (isOut === isIn && fits(isOut ? pattern.slice(1) : pattern, uri)) isIn = !isOut;
  }
  return isIn;
};
