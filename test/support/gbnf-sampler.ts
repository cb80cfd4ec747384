/** What a GBNF grammar is made of, read back from its text independently of the code that wrote it. */
type Node =
  | { kind: 'text'; text: string }
  | { kind: 'class'; isNegated: boolean; ranges: [number, number][] }
  | { kind: 'rule'; name: string }
  | { kind: 'sequence'; parts: Node[] }
  | { kind: 'choice'; alternatives: Node[] }
  | { kind: 'repeat'; part: Node; least: number; most: number };

export type Gbnf = ReadonlyMap<string, Node>;

const tokenPattern = /\s*("(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\{\d+(?:,\d*)?\}|::=|[A-Za-z][\w-]*|[()|?*+])/y;
const unescaped = (text: string): string =>
  text.replace(/\\x([0-9A-Fa-f]{2})|\\(.)/g, (_, hex, char) => (hex ? String.fromCharCode(Number.parseInt(hex, 16)) : char));

/** Reads a grammar with one rule per line. */
export const readGbnf = (grammar: string): Gbnf =>
  new Map(
    grammar
      .split('\n')
      .filter(Boolean)
      .map((line) => readRule(line)),
  );

const readRule = (line: string): [string, Node] => {
  const tokens: string[] = [];
  tokenPattern.lastIndex = 0;
  for (let found = tokenPattern.exec(line); found; found = tokenPattern.exec(line)) tokens.push(found[1] as string);
  const [name, sign] = tokens.splice(0, 2);
  if (name === undefined || sign !== '::=') throw new Error(`not a rule: ${line.slice(0, 200)}`);
  const readChoice = (): Node => {
    const alternatives = [readSequence()];
    while (tokens[0] === '|') {
      tokens.shift();
      alternatives.push(readSequence());
    }
    return { kind: 'choice', alternatives };
  };
  const readSequence = (): Node => {
    const parts: Node[] = [];
    while (tokens.length > 0 && tokens[0] !== '|' && tokens[0] !== ')') parts.push(readRepeat());
    if (parts.length === 0) throw new Error(`an empty alternative in: ${line.slice(0, 200)}`);
    return { kind: 'sequence', parts };
  };
  const readRepeat = (): Node => {
    const part = readAtom(tokens.shift() as string);
    const [, least, most] = /^\{(\d+),?(\d*)\}$/.exec(tokens[0] ?? '') ?? [];
    const bounds =
      least !== undefined ? [Number(least), Number(most || least)] : { '?': [0, 1], '*': [0, 9], '+': [1, 9] }[tokens[0] ?? ''];
    if (!bounds) return part;
    tokens.shift();
    return { kind: 'repeat', part, least: bounds[0] as number, most: bounds[1] as number };
  };
  const readAtom = (token: string): Node => {
    if (token.startsWith('"')) return { kind: 'text', text: unescaped(token.slice(1, -1)) };
    if (token.startsWith('[')) return readClass(token.slice(1, -1));
    if (token !== '(') return { kind: 'rule', name: token };
    const inner = readChoice();
    if (tokens.shift() !== ')') throw new Error(`an open bracket in: ${line.slice(0, 200)}`);
    return inner;
  };
  const node = readChoice();
  if (tokens.length > 0) throw new Error(`cannot read ${tokens[0]} in: ${line.slice(0, 200)}`);
  return [name, node];
};

const readClass = (text: string): Node => {
  const isNegated = text.startsWith('^');
  const ranges: [number, number][] = [];
  const member = String.raw`(\\x[0-9A-Fa-f]{2}|\\.|[^\\])`;
  for (const [, from = '', to = from] of text.slice(isNegated ? 1 : 0).matchAll(new RegExp(`${member}(?:-${member})?`, 'g')))
    ranges.push([unescaped(from).charCodeAt(0), unescaped(to).charCodeAt(0)]);
  return { kind: 'class', isNegated, ranges };
};

/** Printable characters for negated classes, with the awkward ones: quotes, escapes, other scripts, a surrogate pair. */
const alphabet = ['a', 'Z', '0', ' ', '"', '\\', '/', '{', '}', 'é', '漢', '😀', '\n', '\u007f', '\u2028'];

/**
 * A text of the grammar, chosen at random.
 * @param random - 0 to below 1
 */
export const sampleGbnf = (grammar: Gbnf, random: () => number): string => {
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const matches = (ranges: [number, number][], code: number): boolean => ranges.some(([from, to]) => code >= from && code <= to);
  const write = (node: Node): string => {
    if (node.kind === 'text') return node.text;
    if (node.kind === 'sequence') return node.parts.map(write).join('');
    if (node.kind === 'choice') return write(pick(node.alternatives));
    if (node.kind === 'repeat') {
      // The ends of the span are where mistakes sit, so each of them is taken in a quarter of the cases.
      const edge = pick([node.least, node.most, undefined, undefined]);
      const times = edge ?? node.least + Math.floor(random() * (Math.min(node.most, node.least + 6) - node.least + 1));
      return Array.from({ length: times }, () => write(node.part)).join('');
    }
    if (node.kind === 'class') {
      const [from, to] = pick(node.ranges);
      if (!node.isNegated) return String.fromCharCode(from + Math.floor(random() * (to - from + 1)));
      return pick(alphabet.filter((char) => !matches(node.ranges, char.codePointAt(0) as number)));
    }
    const rule = grammar.get(node.name);
    if (!rule) throw new Error(`there is no rule ${node.name}`);
    return write(rule);
  };
  return write({ kind: 'rule', name: 'root' });
};
