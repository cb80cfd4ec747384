import { type GrammarWriter, literal, repeated } from './gbnf.ts';

/** Where a schema sets no bound: fifteen digits are exact in a JSON number, and a tiny model cannot write digits for ever. */
const widest = 999_999_999_999_999;
const decimals = '"." [0-9]{1,6}';

/** Whole or fractional bounds, both included; a missing one is unbounded. */
export type NumberBounds = { least?: number; most?: number };

/**
 * The integers between two bounds, written in full, without a plus sign, leading zeros or an exponent.
 * @returns a grammar expression, or undefined when no integer lies between the bounds
 */
export const integerBetween = (writer: GrammarWriter, bounds: NumberBounds): string | undefined => {
  const [least, most] = wholeBounds(bounds);
  if (least > most) return undefined;
  const alternatives: string[] = [];
  if (most >= 0) alternatives.push(digits(writer, Math.max(least, 0), most));
  if (least < 0) alternatives.push(`"-" ${digits(writer, Math.max(-most, 1), -least)}`);
  return writer.choice(alternatives);
};

/**
 * The decimal numbers between two bounds, with at most six decimals. Fractional bounds are narrowed to the whole numbers inside them.
 * @returns a grammar expression, or undefined when no whole number lies between the bounds
 */
export const numberBetween = (writer: GrammarWriter, bounds: NumberBounds): string | undefined => {
  const [least, most] = wholeBounds(bounds);
  const whole = integerBetween(writer, bounds);
  if (whole === undefined) return undefined;
  const alternatives = [whole];
  // A number with decimals lies between its whole part and the next whole number away from zero, hence the bound less one.
  const [from, upTo] = [Math.max(least, 0), most - 1];
  if (from <= upTo) alternatives.push(`${digits(writer, from, upTo)} ${decimals}`);
  const [fromBelow, downTo] = [Math.max(-most, 0), -least - 1];
  if (fromBelow <= downTo) alternatives.push(`"-" ${digits(writer, fromBelow, downTo)} ${decimals}`);
  return writer.choice(alternatives);
};

const wholeBounds = ({ least = -widest, most = widest }: NumberBounds): [number, number] => [
  Math.max(Math.ceil(least), Number.MIN_SAFE_INTEGER) + 0, // + 0 turns -0 into 0
  Math.min(Math.floor(most), Number.MAX_SAFE_INTEGER) + 0,
];

/** The whole numbers from `low` to `high`, neither negative. */
const digits = (writer: GrammarWriter, low: number, high: number): string => {
  const alternatives: string[] = [];
  for (let length = String(low).length; length <= String(high).length; length++) {
    const shortest = length === 1 ? 0 : 10 ** (length - 1);
    alternatives.push(sameLength(writer, String(Math.max(low, shortest)), String(Math.min(high, 10 ** length - 1))));
  }
  return writer.choice(alternatives);
};

/** The digit strings from `low` to `high`, which have the same length. */
const sameLength = (writer: GrammarWriter, low: string, high: string): string => {
  if (low === high) return literal(low);
  const rest = low.length - 1;
  const [lowRest, highRest] = [low.slice(1), high.slice(1)];
  let [from, to] = [Number(low[0]), Number(high[0])];
  if (from === to) return `${literal(String(from))} ${sameLength(writer, lowRest, highRest)}`;
  const alternatives: string[] = [];
  if (/[^0]/.test(lowRest)) alternatives.push(`${literal(String(from++))} ${sameLength(writer, lowRest, '9'.repeat(rest))}`);
  if (/[^9]/.test(highRest)) alternatives.push(`${literal(String(to--))} ${sameLength(writer, '0'.repeat(rest), highRest)}`);
  if (from <= to) alternatives.push(`[${from}-${to}] ${repeated('[0-9]', rest, rest)}`.trim());
  return writer.choice(alternatives);
};
