import type { ObservedObject } from '../../schema/reconcile/observation.ts';
import type { Definition } from '../../store/definition.ts';
import { listDefinitions } from '../../store/definitions.ts';
import { digestOf } from './kubernetes-state.ts';
import { type PlatformContext, type PlatformPart, platformObject, platformRef, symptom } from './platform-context.ts';

const kindOf = { tool: 'Tool', prompt: 'Prompt', template: 'ResourceTemplate' } as const;

export const pinRef = ({ kind, server, name }: Pick<Definition, 'kind' | 'server' | 'name'>) => platformRef(kindOf[kind], server, name);

/**
 * Approved definitions, as their servers offer them. `DefinitionChanged`: not as it was approved, and only hidden as long as that is so; under
 * quarantine it stays hidden until a person accepts it, and nothing more is to be done here.
 */
export const createPlatformPins = ({ database }: PlatformContext): PlatformPart => ({
  see: async (place): Promise<ObservedObject[]> =>
    (await listDefinitions(database, place))
      .filter(({ approvedHash, quarantined }) => approvedHash !== '' || quarantined !== '')
      .map((row) => {
        const { approvedHash, currentHash, quarantined, issues } = row;
        const isChanged = currentHash !== '' && currentHash !== approvedHash && quarantined === '';
        const message = `offered as ${currentHash.slice(0, 12)}, approved as ${approvedHash.slice(0, 12)}${issues.length > 0 ? `; ${issues.join('; ')}` : ''}`;
        return platformObject(
          pinRef(row),
          digestOf([row.org, row.project, row.server, row.kind, row.name]),
          { approvedHash, currentHash, quarantined },
          isChanged ? [symptom('DefinitionChanged', message)] : [],
        );
      }),
});
