import type { ObservedObject } from '../../schema/reconcile/observation.ts';
import { listSigningKeys } from '../../store/signing-keys.ts';
import { digestOf } from './kubernetes-state.ts';
import { type PlatformContext, type PlatformPart, platformObject, platformRef, symptom } from './platform-context.ts';
import { gatewayReports } from './platform-servers.ts';

/**
 * The keys of the issuer. `KeysUnknown`: a gateway lacks the one that signs now, so it refuses good tokens, or could not fetch them at its
 * last try. One that has never been asked for a key has none, and is well.
 */
export const createPlatformKeys = (context: PlatformContext): PlatformPart => ({
  see: async (): Promise<ObservedObject[]> => {
    const keys = await listSigningKeys(context.database);
    const signing = keys.find(({ state }) => state === 'signing')?.kid ?? '';
    const symptoms = (await gatewayReports(context)).flatMap(({ instance, report: { keys: at } }) => {
      if (at.failure !== '') return [symptom('KeysUnknown', `${instance}: ${at.failure}.`)];
      const lacks = signing !== '' && at.fetchedAt !== '' && !at.kids.includes(signing);
      return lacks ? [symptom('KeysUnknown', `${instance} does not know the key that signs.`)] : [];
    });
    return [platformObject(platformRef('SigningKeys', '', 'issuer'), digestOf(['keys']), { signing }, symptoms)];
  },
});
