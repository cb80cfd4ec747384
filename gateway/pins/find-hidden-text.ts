import { hiddenCharacters, withHiddenShown } from '../../schema/hidden-characters.ts';
import type { PlacedText } from './texts-of.ts';

const shown = 8;

/**
 * Says where a definition holds characters that a person would not see: a model reads them all the same (SEC-1).
 * Such a definition is refused, not cleaned: what was cleaned is not what the server means.
 */
export const findHiddenText = (texts: readonly PlacedText[]): string[] =>
  texts.flatMap(({ path, text }) => {
    const hidden = hiddenCharacters(text);
    if (hidden.length === 0) return [];
    const first = withHiddenShown(hidden.slice(0, shown).join(''));
    const more = hidden.length > shown ? `… (${hidden.length} in all)` : '';
    return [`hidden characters in ${withHiddenShown(path)}: ${first}${more}`];
  });
