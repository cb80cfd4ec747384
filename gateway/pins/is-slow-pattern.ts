import { type Part, readPattern } from './read-pattern.ts';

/** So many parts without end that take the same make the fourth power of a text's length, and that of a hundred characters is a second. */
const mostInRow = 3;

const meet = (one: ReadonlySet<string>, other: ReadonlySet<string>): boolean => [...one].some((each) => other.has(each));

/** All characters that a part may be made of. */
const allOf = ({ body, characters }: Part): ReadonlySet<string> =>
  characters ?? new Set((body ?? []).flat().flatMap((part) => [...allOf(part)]));

/** Parts without end inside of others, wherever they stand. */
const unboundedIn = (parts: Part[]): Part[] =>
  parts.flatMap((part) => [...(part.isUnbounded ? [part] : []), ...unboundedIn((part.body ?? []).flat())]);

const takes = (parts: readonly Part[]): Part[] => parts.filter(({ isLook }) => !isLook);

/** The characters that a sequence may begin with. */
const firstOf = (parts: readonly Part[]): ReadonlySet<string> => {
  const first = new Set<string>();
  for (const part of takes(parts)) {
    const own = part.body ? part.body.flatMap((inner) => [...firstOf(inner)]) : [...(part.characters ?? [])];
    for (const each of own) first.add(each);
    if (!part.isOptional) break;
  }
  return first;
};

/** Whether no character at a certain place tells two alternatives apart. */
const areAlike = (one: readonly Part[], other: readonly Part[]): boolean => {
  for (let at = 0; ; at += 1) {
    const [left, right] = [one[at], other[at]];
    if (left === undefined || right === undefined) return true;
    if (!meet(firstOf(one.slice(at)), firstOf(other.slice(at)))) return false;
    // from here on the places do not stand side by side any more
    if ([left, right].some(({ isVariable, body }) => isVariable || body !== undefined)) return true;
  }
};

/** Whether a part that may be longer and shorter takes what could be taken by what comes after it, in a group or in its next repetition. */
const isTakenTwice = (parts: readonly Part[], next: ReadonlySet<string>): boolean =>
  parts.some((part, index) => {
    if (!part.isVariable && !part.isOptional) return false;
    const after = parts.slice(index + 1);
    const follows = new Set([...firstOf(after), ...(after.every(({ isOptional }) => isOptional) ? next : [])]);
    return meet(part.isUnbounded ? new Set() : firstOf([part]), follows);
  });

/**
 * Whether one text can be taken by a repeated group in many ways: a part without end in it is held apart from its next repetition by nothing that
 * has to stand between them and is made of other characters; two of its alternatives take the same; or a part that may be left out does.
 */
const isAmbiguous = (alternatives: Part[][]): boolean => {
  const taking = alternatives.map(takes);
  const next = new Set(taking.flatMap((parts) => [...firstOf(parts)]));
  return (
    alternatives.some((parts) =>
      unboundedIn(parts).some((inner) => {
        const taken = allOf(inner);
        return !parts.some((part) => !part.isOptional && part !== inner && !meet(allOf(part), taken));
      }),
    ) ||
    taking.some((one, index) => taking.slice(index + 1).some((other) => areAlike(one, other))) ||
    taking.some((parts) => isTakenTwice(parts, next))
  );
};

/** Whether parts without end that take the same follow each other, with nothing between them that has to be there and is of another kind. */
const isLongRow = (parts: readonly Part[]): boolean => {
  let inRow = 0;
  let taken: ReadonlySet<string> = new Set();
  return takes(parts).some((part) => {
    const own = allOf(part);
    const isOfRow = meet(own, taken);
    if (part.isUnbounded) {
      inRow = isOfRow ? inRow + 1 : 1;
      taken = own;
    } else if (!part.isOptional && !isOfRow) inRow = 0;
    return inRow > mostInRow;
  });
};

const isSlow = (alternatives: Part[][]): boolean =>
  alternatives.some(isLongRow) ||
  alternatives.flat().some(({ body, isUnbounded }) => body !== undefined && ((isUnbounded && isAmbiguous(body)) || isSlow(body)));

/** Whether a regular expression may take a time that doubles with each character of a text that is made for it, or grows nearly as badly. */
export const isSlowPattern = (pattern: string): boolean => isSlow(readPattern(pattern, 0).alternatives);
