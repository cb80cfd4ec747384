import { judgeDefinitions } from '../../gateway/pins/judge-definitions.ts';
import { observeDefinition } from '../../gateway/pins/observe-definition.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import type { Database } from '../../store/database.ts';
import { recordDefinitions } from '../../store/definitions.ts';

/** Records tools of a server as the gateway does after a look at it. */
export const offerTools = (database: Database, server: string, ...tools: object[]): Promise<void> =>
  recordDefinitions(
    database,
    { ...defaultTenancy, server, generation: 1 },
    { tool: tools.map((tool) => observeDefinition('tool', tool)).filter((tool) => tool !== undefined) },
    { approvesFirstSight: true, judge: judgeDefinitions },
  );
