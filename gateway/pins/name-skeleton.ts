/**
 * Letters of other scripts by the Latin letter that they are drawn like, as far as they are drawn alike in common fonts: the part of
 * Unicode's confusables that names of tools can be made of. Fullwidth, mathematical and the like are not here: NFKC takes them back.
 * @see https://www.unicode.org/reports/tr39/#Confusable_Detection
 */
const drawnLike: Readonly<Record<string, string>> = {
  a: 'аαɑ',
  b: 'ьβв',
  c: 'сϲᴄ',
  d: 'ԁɗ',
  e: 'еεєҽ℮',
  f: 'ƒғ',
  g: 'ɡց',
  h: 'һհнΗ',
  i: 'іɩιı',
  I: 'ІΙӀ',
  j: 'јϳ',
  k: 'кκ',
  l: 'ӏ|',
  m: 'мμ',
  n: 'ոηпΝ',
  o: 'оοσօ',
  p: 'рρ',
  q: 'ԛգ',
  r: 'гɾ',
  s: 'ѕꜱ',
  t: 'тτ',
  u: 'υսц',
  v: 'νѵ',
  w: 'ԝѡω',
  x: 'хχ',
  y: 'уүγ',
  z: 'ᴢΖ',
};

const latinOf = new Map(Object.entries(drawnLike).flatMap(([latin, others]) => Array.from(others, (other) => [other, latin] as const)));

const plainLetters = (name: string): string =>
  Array.from(
    name.normalize('NFKC').normalize('NFD').replaceAll(/\p{M}/gu, ''),
    (letter) => latinOf.get(letter) ?? latinOf.get(letter.toLowerCase()) ?? letter,
  ).join('');

const withoutSeparators = (name: string): string => name.replaceAll(/[^\p{L}\p{N}]/gu, '');

/**
 * What is left of a name when all is taken away that a reader passes over: two names are alike when one of their skeletons is the same.
 * The first is without case, separators and accents (`Read_File` and `readFile`); the second is of shapes (`1`, `I` and `l`, `0` and `O`, `rn` and `m`).
 */
export const nameSkeletons = (name: string): [string, string] => {
  const plain = withoutSeparators(plainLetters(name));
  const shapes = plain.replaceAll(/[1I]/g, 'l').replaceAll('0', 'o').toLowerCase().replaceAll('rn', 'm').replaceAll('vv', 'w');
  return [plain.toLowerCase(), shapes];
};

/** Latin letters beside those of a script that has letters drawn like them. */
export const mixesScripts = (name: string): boolean =>
  /\p{Script=Latin}/u.test(name) &&
  /[\p{Script=Cyrillic}\p{Script=Greek}\p{Script=Armenian}\p{Script=Cherokee}\p{Script=Coptic}\p{Script=Lisu}]/u.test(name);
