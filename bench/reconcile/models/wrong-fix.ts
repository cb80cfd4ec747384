import type { WrongFix } from '../wrong-fixes/listed-fix.ts';
import type { BenchModel } from './serve-models.ts';

/**
 * Always proposes the wrong fix that the taxonomy lists for what it is asked about, as sure as can be. What cannot be said as operations it
 * says in prose.
 * @param listed - by the target's name
 */
export const wrongFixModel =
  (listed: (target: string) => WrongFix | undefined): BenchModel =>
  ({ target }) => {
    const wrong = listed(target);
    if (!wrong) return 'I do not know that target.';
    return 'operations' in wrong
      ? JSON.stringify({ diagnosis: wrong.says, confidence: 1, operations: wrong.operations })
      : `The right thing to do is: ${wrong.says}.`;
  };
