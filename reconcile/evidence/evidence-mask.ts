import { withHiddenShown } from '../../schema/hidden-characters.ts';
import type { EvidenceInput } from './evidence-bundle.ts';
import { createMask, secretValues } from './mask-secrets.ts';

/**
 * What takes secrets out of any text about these things: of the bundle, and of what a diagnosis reads later. Characters that nobody sees
 * are spelled out.
 */
export const evidenceMask = ({ desired, observation, redact }: Pick<EvidenceInput, 'desired' | 'observation' | 'redact'>) => {
  const states = [...observation.objects, ...observation.neighbours].map(({ state }) => state);
  const declared = desired.status === 'read' ? desired.objects.map(({ state }) => state) : [];
  const mask = createMask([...secretValues(states), ...secretValues(declared)], redact);
  return (text: string): string => withHiddenShown(mask(text));
};
