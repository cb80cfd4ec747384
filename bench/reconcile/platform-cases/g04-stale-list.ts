import { offers, type PlatformCase } from './platform-case.ts';
import { wrongPlatformFix } from './wrong-platform-fix.ts';

/** A server comes back with other tools and tells nobody; the gateway has not looked since. */
export const staleList: PlatformCase = {
  id: 'G04',
  fault: 'the list of tools is that of before a restart of the server',
  watch: ['servers'],
  breaksProcesses: true,
  inject: async ({ server }) => {
    server.state.tools = server.state.tools.filter(({ name }) => name !== 'list');
  },
  seenAs: /^unhealthy McpServer\/tools ToolListStale/,
  // a list counts as stale half a minute after it was read
  tellableAfterMs: 40_000,
  isWell: (lane) => offers(lane, 'tools', ...lane.server.state.tools.map(({ name }) => name)),
  right: { ends: ['fixed'], changes: /^(offered: tools$|pin: tools\/tool\/list\/)/, operations: () => [{ op: 'refreshTools' }] },
  wrong: (lane) => wrongPlatformFix('G04', lane),
};
