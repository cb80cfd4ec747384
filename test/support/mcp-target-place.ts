import { createGatewayClient } from '../../activities/gateway-client.ts';
import type { McpTarget } from '../../activities/targets/mcp-identity.ts';
import { createMcpTarget } from '../../activities/targets/mcp-target.ts';
import { McpTargetSchema } from '../../schema/resources/reconcile-target.ts';
import { createContentStore } from '../../store/contents.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { type RunningGateway, startRunningGateway } from './running-gateway.ts';

/** A real gateway before one MCP server, a role that may use it, and the adapter of targets that are kept through it. */
export const startMcpTargetPlace = async (
  server: object,
  {
    gateway: given,
    authorise,
  }: { gateway?: Parameters<typeof startRunningGateway>[0]; authorise?: () => Promise<{ owner: string; launchDecisionId: string }> } = {},
) => {
  const gateway: RunningGateway = await startRunningGateway(given);
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'settings' }, spec: { ...server, timeoutSeconds: 5 } },
    { kind: 'Toolset', metadata: { name: 'settings' }, spec: { servers: [{ name: 'settings' }], naming: 'plain' } },
    {
      kind: 'AgentRole',
      metadata: { name: 'keeper' },
      spec: { instructions: 'Keep.', model: 'none', toolset: 'settings', output: { type: 'object' } },
    },
    { kind: 'AccessBinding', metadata: { name: 'keepers' }, spec: { subjects: [{ agentRole: 'keeper' }], toolsets: ['settings'] } },
  );
  await gateway.ready('settings');
  const tokens = { tokenFor: (agentId: string, audience: string) => gateway.mint(agentId, audience), forget: () => undefined };
  const state = { now: Date.now() };
  const port = createMcpTarget({
    database: gateway.database,
    contents: createContentStore(gateway.database, deriveContentKeys(Buffer.alloc(32, 7).toString('base64'), 'content')),
    calls: createGatewayClient({ gatewayUrl: gateway.publicUrl, tokens }),
    authorise: authorise ?? (async () => ({ owner: 'admin', launchDecisionId: 'dec_role' })),
    now: () => new Date(state.now),
  });
  return {
    ...{ gateway, port, state },
    targetOf: (spec: object, name = 'settings'): McpTarget => ({
      ...{ org: 'default', project: 'default', name, generation: 1 },
      spec: McpTargetSchema.parse({ type: 'mcp', toolset: 'settings', role: 'keeper', ...spec }),
    }),
    close: () => gateway.close(),
  };
};
export type McpTargetPlace = Awaited<ReturnType<typeof startMcpTargetPlace>>;
