import type { ObservedObject } from '../../schema/reconcile/observation.ts';
import { listResources } from '../../store/resources.ts';
import { type PlatformContext, type PlatformPart, platformObject, platformRef, symptom } from './platform-context.ts';

/**
 * Toolsets, as gateways can build them. `NameCollision`: two servers give one name, so that nobody is served; only names without a prefix can
 * be told apart by one.
 */
export const createPlatformToolsets = ({ database }: PlatformContext): PlatformPart => ({
  see: async (place): Promise<ObservedObject[]> =>
    (await listResources(database, { ...place, kind: 'Toolset' })).map(
      ({ uid, generation, status, spec: { naming, conflicts }, metadata: { name } }) => {
        const ready = status.conditions.find(({ type }) => type === 'Ready');
        const collides =
          ready?.status === 'False' && ready.reason === 'Conflict' && ready.observedGeneration === generation && naming === 'plain';
        const ref = platformRef('Toolset', '', name);
        return platformObject(ref, uid, { generation, naming, conflicts }, collides ? [symptom('NameCollision', ready.message)] : []);
      },
    ),
});
