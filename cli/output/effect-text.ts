import type { PolicyEffect } from '../../schema/decision-basis.ts';

/** What policies said, in words. */
export const effectText = (effect: PolicyEffect): string => (effect === 'needsPerson' ? 'needs a person' : effect);
