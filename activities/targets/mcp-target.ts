import type { TargetPort } from '../../reconcile/target-port.ts';
import type { ContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';
import { digestOf } from './kubernetes-state.ts';
import { createMcpApply } from './mcp-apply.ts';
import type { McpCalls } from './mcp-calls.ts';
import { type AuthoriseRole, createMcpIdentities } from './mcp-identity.ts';
import { createMcpLooks, createMcpObserve, mcpDesired } from './mcp-observe.ts';

export type McpTargetOptions = {
  database: Database;
  contents: ContentStore;
  calls: McpCalls;
  authorise: AuthoriseRole;
  now?: () => Date;
};

/**
 * Anything that an MCP server reaches: seen and changed by the target's named calls alone, each through the gateway, as an agent of the
 * target's role. No server says when something of it changes, so it is looked at in its interval.
 */
export const createMcpTarget = ({ database, contents, calls, authorise, now = () => new Date() }: McpTargetOptions): TargetPort<'mcp'> => {
  const identities = createMcpIdentities({ database, contents, authorise, now });
  const looks = createMcpLooks({ calls, identities });
  return {
    type: 'mcp',
    desired: async (target) => {
      const objects = mcpDesired(target);
      return { status: 'read', objects, digest: digestOf(objects) };
    },
    observe: createMcpObserve({ looks, now }),
    watch: () => undefined,
    ...createMcpApply({ database, calls, identities, looks, now }),
  };
};
