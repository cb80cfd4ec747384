import type { MaskCounts, Masker } from './create-masker.ts';

/** A run without a space that is longer than this is looked at in pieces: no secret that is known by its shape is. */
const longestHeld = 20_480;
/** How far back groups of digits and capitals are followed: a card, an IBAN or a telephone number is shorter. */
const longestGroups = 96;

const groupsAtEnd = /(?:(?:[A-Z0-9+().-]{1,34}|[Bb]earer) {1,4})+$/;
const keyHeader = /^-----BEGIN [A-Z ]{0,48}-----/;

/** Where what has no space in it begins that ends here. */
const beginOfRun = (text: string, end: number): number => {
  let begin = end;
  while (begin > 0 && !/\s/.test(text[begin - 1] ?? ' ')) begin -= 1;
  return begin;
};

/** Where an unfinished private key begins, or a header that may become one. */
const openKey = (text: string): number => {
  const begin = text.lastIndexOf('-----BEGIN ');
  if (begin < 0) return -1;
  const header = keyHeader.exec(text.slice(begin, begin + 70))?.[0];
  if (header === undefined) return text.length - begin < 70 ? begin : -1;
  if (!header.includes('PRIVATE KEY')) return -1;
  const end = text.indexOf('-----END', begin + header.length);
  return end < 0 || !/^-----END [A-Z ]{0,48}-----/.test(text.slice(end, end + 70)) ? begin : -1;
};

/** From where on a text may go on to become something that is masked: what comes before can be told now. */
const holdFrom = (text: string): number => {
  const run = beginOfRun(text, text.length);
  const before = text.slice(Math.max(0, run - longestGroups), run);
  const cut = beginOfRun(text, run - (groupsAtEnd.exec(before)?.[0].length ?? 0));
  const key = openKey(text);
  return key >= 0 ? Math.min(cut, key) : cut;
};

/** Before a cut that goes through something that is masked: a place before it that does not. */
const tries = 64;
const soundCut = (masker: Masker, text: string, wished: number): number => {
  const whole = masker.text(text, {});
  let cut = wished;
  for (let left = tries; cut > 0 && left > 0; left -= 1) {
    if (masker.text(text.slice(0, cut), {}) + masker.text(text.slice(cut), {}) === whole) return cut;
    cut = beginOfRun(text, cut - 1);
  }
  return 0;
};

/**
 * Masks a text that comes in pieces as if it came in one, wherever it is cut: what may still become a secret is held back until it is known
 * to be one or not.
 */
export const createStreamMasker = (masker: Masker, counts: MaskCounts) => {
  let held = '';
  return {
    /** @returns what can be passed on by now */
    push: (text: string): string => {
      held += text;
      const cut = held.length > longestHeld ? held.length : soundCut(masker, held, holdFrom(held));
      if (cut === 0) return '';
      const ready = held.slice(0, cut);
      held = held.slice(cut);
      return masker.text(ready, counts);
    },
    /** The rest, when nothing more comes. */
    end: (): string => {
      const rest = held;
      held = '';
      return rest === '' ? '' : masker.text(rest, counts);
    },
  };
};
