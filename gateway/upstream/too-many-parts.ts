const quote = 34;
const backslash = 92;
const openList = 91;
const openObject = 123;

/** What is shorter cannot become much. */
const looksFrom = 1024 * 1024;
/** Each object and list takes some hundred bytes of memory, though two stand for it in a text. */
export const mostParts = 400_000;

/**
 * Whether a text of JSON would become many times its own size: by more objects and lists than anybody reads, side by side or within each other.
 * What stands in strings is no part.
 */
export const hasTooManyParts = (text: string): boolean => {
  if (text.length < looksFrom) return false;
  let parts = 0;
  for (let at = 0; at < text.length && parts <= mostParts; at += 1) {
    const code = text.charCodeAt(at);
    if (code === openList || code === openObject) parts += 1;
    else if (code === quote) {
      at += 1;
      while (at < text.length && text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === backslash ? 2 : 1;
    }
  }
  return parts > mostParts;
};
