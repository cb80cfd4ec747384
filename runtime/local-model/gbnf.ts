/**
 * Writes a GBNF grammar, the notation in which llama.cpp is told which texts a model may produce.
 * Every expression handed around is an atom or a sequence; alternatives always become a rule, so that callers need no brackets.
 * @see https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md
 */
export class GrammarWriter {
  /** Rule body to rule name: a body that occurs twice is written once. */
  readonly #names = new Map<string, string>();

  /** @returns the name of a rule with this body */
  rule(body: string): string {
    const known = this.#names.get(body);
    if (known !== undefined) return known;
    const name = `r${this.#names.size}`;
    this.#names.set(body, name);
    return name;
  }

  /** @returns an expression that matches any one of the alternatives (at least one) */
  choice(alternatives: readonly string[]): string {
    const distinct = [...new Set(alternatives)];
    return distinct.length === 1 ? (distinct[0] as string) : this.rule(distinct.join(' | '));
  }

  /** @returns the whole grammar, whose texts are those of `root` */
  text(root: string): string {
    return [`root ::= ${root}`, ...[...this.#names].map(([body, name]) => `${name} ::= ${body}`)].join('\n').concat('\n');
  }
}

/** A GBNF literal: exactly this text. */
export const literal = (text: string): string => (text === '' ? '""' : `"${text.replace(/[\\"]/g, '\\$&')}"`);

/** @returns `expression` repeated `least` to `most` times; '' when it cannot occur at all */
export const repeated = (expression: string, least: number, most: number): string => {
  if (most === 0) return '';
  return least === most ? `${expression}{${least}}` : `${expression}{${least},${most}}`;
};

/**
 * An expression for exactly one of many texts, as a tree of common beginnings. Written as a flat list, llama.cpp follows every text at
 * once: 300 paths of 60 characters then triple the time of each token.
 */
export const oneOfTexts = (writer: GrammarWriter, texts: readonly string[]): string =>
  tree(
    writer,
    [...new Set(texts)].map((text) => [...text]),
  );

const tree = (writer: GrammarWriter, texts: readonly (readonly string[])[]): string => {
  const [first = [], ...others] = texts;
  const differs = first.findIndex((character, at) => others.some((other) => other[at] !== character));
  const shared = differs === -1 ? first.length : differs;
  const beginning = literal(first.slice(0, shared).join(''));
  if (others.length === 0) return beginning;
  const branches = Map.groupBy(
    texts.map((text) => text.slice(shared)),
    (text) => text[0] ?? '',
  );
  const rest = writer.choice([...branches].map(([start, members]) => (start === '' ? '""' : tree(writer, members))));
  return shared === 0 ? rest : `${beginning} ${rest}`;
};
