import { pollUntil } from '../poll-until.ts';
import { isReady, type PlatformCase } from './platform-case.ts';
import { startToolServer } from './tool-server.ts';
import { wrongPlatformFix } from './wrong-platform-fix.ts';

/** Its server went away, the gateway gave the route up, and the server came back where it was. */
export const brokenRoute: PlatformCase = {
  id: 'G01',
  fault: 'a route to a server that was given up',
  watch: ['servers'],
  inject: async ({ server, later, owner, project }) => {
    const { tools } = server.state;
    server.close();
    const isGivenUp = async () => ((await owner.get(`/reconcile/targets/${project}`)).phase !== 'clean' ? true : undefined);
    await pollUntil(isGivenUp, 'the route to be given up', 90_000);
    const again = await startToolServer(tools, server.port);
    later(again.close);
  },
  seenAs: /^unhealthy McpServer\/tools RouteBroken/,
  // a route is given up by the half-minute look
  tellableAfterMs: 45_000,
  isWell: (lane) => isReady(lane, 'tools'),
  right: { ends: ['fixed'] },
  wrong: (lane) => wrongPlatformFix('G01', lane),
};
