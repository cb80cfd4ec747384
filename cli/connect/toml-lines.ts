/** A line of TOML with its end, and whether something begins on it: else it is the inside of a text or a list over several lines. */
export type TomlLine = { text: string; isStart: boolean };

/** What may stand in a value, as far as it says where the value ends: texts of four kinds, comments, and the brackets of lists. */
const part = /"""|'''|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#.*|[[\]{}]/g;

/** Takes the rest of a text over several lines away; undefined when it does not end on this line. */
const afterText = (line: string, quote: string): string | undefined => {
  const end = quote === '"""' ? /(?<!\\)(?:\\\\)*"""+/.exec(line) : /'''+/.exec(line);
  return end ? line.slice(end.index + end[0].length) : undefined;
};

/** Cuts TOML that is known to be valid into lines. */
export const tomlLines = (text: string): TomlLine[] => {
  let quote: string | undefined;
  let depth = 0;
  return text.split(/(?<=\n)/).map((line) => {
    const isStart = quote === undefined && depth === 0;
    // A header is one line, and its brackets are no list.
    let rest: string | undefined = isStart && /^\s*\[/.test(line) ? '' : line;
    while (rest) {
      if (quote !== undefined) {
        rest = afterText(rest, quote);
        if (rest !== undefined) quote = undefined;
        continue;
      }
      part.lastIndex = 0;
      const found = part.exec(rest);
      if (found === null) break;
      const [token] = found;
      if (token === '"""' || token === "'''") quote = token;
      else if (token === '[' || token === '{') depth += 1;
      else if (token === ']' || token === '}') depth -= 1;
      rest = rest.slice(found.index + token.length);
    }
    return { text: line, isStart };
  });
};
