import { fitsPattern } from '../../policy/fits-pattern.ts';

/** Whether a toolset lets a URI, or a URI template as text, through: the last pattern that fits decides, and `!` takes out. */
export const matchesPatterns = (patterns: 'all' | 'none' | readonly string[], uri: string): boolean => {
  if (patterns === 'all' || patterns === 'none') return patterns === 'all';
  let isIn = false;
  for (const pattern of patterns) {
    const isOut = pattern.startsWith('!');
    if (isOut === isIn && fitsPattern(isOut ? pattern.slice(1) : pattern, uri)) isIn = !isOut;
  }
  return isIn;
};
