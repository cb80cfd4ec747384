/** Characters that a reader does not see, or that change what is seen around them; `\r` counts as seen before `\n` alone. */
const hidden =
  /(?![\t\n]|\r\n)[\p{Cc}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u{FFF9}-\u{FFFB}\u{2800}]/u;

/** Scripts in which a joiner between two letters is spelling. */
const joining = String.raw`\p{Script=Arabic}\p{Script=Devanagari}\p{Script=Bengali}\p{Script=Gurmukhi}\p{Script=Gujarati}\p{Script=Oriya}\p{Script=Tamil}\p{Script=Telugu}\p{Script=Kannada}\p{Script=Malayalam}\p{Script=Sinhala}\p{Script=Khmer}\p{Script=Mongolian}`;

/** Where such characters are part of what is seen: emoji in sequences, joiners of some scripts, the flags of England, Scotland and Wales. */
const spelling = new RegExp(
  [
    String.raw`(?<=\p{Extended_Pictographic})[\u{FE0E}\u{FE0F}]`,
    String.raw`(?<=[0-9#*])\u{FE0F}(?=\u{20E3})`,
    String.raw`(?<=\p{Extended_Pictographic}[\u{FE0F}\u{1F3FB}-\u{1F3FF}]?)\u{200D}(?=\p{Extended_Pictographic})`,
    `(?<=[${joining}])[\\u{200C}\\u{200D}](?=[${joining}])`,
    String.raw`(?<=\u{1F3F4})\u{E0067}\u{E0062}(?:\u{E0065}\u{E006E}\u{E0067}|\u{E0073}\u{E0063}\u{E0074}|\u{E0077}\u{E006C}\u{E0073})\u{E007F}`,
  ].join('|'),
  'gu',
);

const isHidden = (character: string): boolean => hidden.test(character);

/** Parts of a text in their order, each with whether it is of hidden characters. Joined they are the text. */
const split = (text: string): { part: string; isHidden: boolean }[] => {
  if (!hidden.test(text)) return text === '' ? [] : [{ part: text, isHidden: false }];
  const seen = new Set<number>();
  for (const match of text.matchAll(spelling)) for (let at = match.index; at < match.index + match[0].length; at += 1) seen.add(at);
  const parts: { part: string; isHidden: boolean }[] = [];
  let at = 0;
  for (const character of text) {
    const isEndOfLine = character === '\r' && text[at + 1] === '\n';
    const here = !seen.has(at) && !isEndOfLine && isHidden(character);
    const last = parts.at(-1);
    if (last?.isHidden === here) last.part += character;
    else parts.push({ part: character, isHidden: here });
    at += character.length;
  }
  return parts;
};

const spellOut = (text: string): string =>
  Array.from(text, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`).join('');

/** The hidden characters of a text, in their order; empty for what can be read as it stands. */
export const hiddenCharacters = (text: string): string[] =>
  split(text).flatMap(({ part, isHidden: here }) => (here ? Array.from(part) : []));

/** The text with each hidden character as `\u{E0041}`, so that a person sees it; the rest is as it was. */
export const withHiddenShown = (text: string): string =>
  split(text)
    .map(({ part, isHidden: here }) => (here ? spellOut(part) : part))
    .join('');
