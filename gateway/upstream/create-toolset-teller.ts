import { setCondition } from '../../store/resources.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { toolsetState } from '../surface/toolset-condition.ts';
import { tableOfToolset } from '../surface/toolset-table.ts';
import type { McpServer } from './upstream-pool.ts';

/** Writes down in the condition of each toolset whether it serves; what it wrote last is not written again. */
export const createToolsetTeller = (context: GatewayContext) => {
  const told = new Map<string, string>();

  /** @param hasAnswered - whether a server was heard of since it was declared so */
  return async (hasAnswered: (server: McpServer) => boolean): Promise<void> => {
    const declared = context.declared();
    const toolsets = declared.list('Toolset');
    for (const { uid, generation, metadata, spec } of toolsets) {
      const { org, project, name } = metadata;
      const waiting = spec.servers
        .map((part) => part.name)
        .filter((serverName) => {
          const server = declared.find('McpServer', { org, project }, serverName);
          return server === undefined || !hasAnswered(server);
        });
      const condition = {
        type: 'Ready',
        ...toolsetState(tableOfToolset(declared, { org, project }, name), waiting),
        observedGeneration: generation,
      };
      const text = JSON.stringify(condition);
      if (told.get(uid) === text) continue;
      await setCondition(context.database, { org, project, kind: 'Toolset', name }, condition, new Date(context.now()));
      told.set(uid, text);
    }
    const present = new Set(toolsets.map(({ uid }) => uid));
    for (const uid of told.keys()) if (!present.has(uid)) told.delete(uid);
  };
};
