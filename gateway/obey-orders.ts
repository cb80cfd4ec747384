import type { ProcessReport } from '../schema/process-report.ts';
import { followOrders } from '../store/follow-orders.ts';
import type { IssuerKeys } from './auth/issuer-keys.ts';
import type { followDeclared } from './follow-declared.ts';
import type { GatewayContext } from './gateway-context.ts';
import type { StormCounter } from './limits/count-storms.ts';
import type { followRateHolds } from './limits/follow-rate-holds.ts';
import type { createServerDiscovery } from './upstream/discover-servers.ts';

/** Tells the reconciler what this gateway has in its memory, and does what it asks: look again, let go, read anew. None of it opens anything. */
export const obeyOrders = ({
  context,
  view,
  discovery,
  keys,
  holds,
  storms,
}: {
  context: GatewayContext;
  view: Pick<ReturnType<typeof followDeclared>, 'refresh' | 'reload'>;
  discovery: Pick<ReturnType<typeof createServerDiscovery>, 'report' | 'lookNow'>;
  keys: IssuerKeys;
  holds: Pick<ReturnType<typeof followRateHolds>, 'refresh'>;
  storms: StormCounter;
}) =>
  followOrders<Extract<ProcessReport, { process: 'gateway' }>>({
    database: context.database,
    instance: `gateway/${context.instance}`,
    report: () => ({
      process: 'gateway',
      servers: discovery.report(),
      policies: Object.fromEntries(
        context
          .declared()
          .projects()
          .flatMap((place) => {
            const version = context.policy.versionOf(place);
            return version === undefined ? [] : [[`${place.org}/${place.project}`, version]];
          }),
      ),
      keys: keys.report(),
      storms: storms.report(),
      refusedCredentials: context.credentials.report(),
    }),
    carryOut: async (order) => {
      switch (order.do) {
        case 'look-again':
          return discovery.lookNow(order, order.server);
        case 'rebuild-route':
          await view.refresh();
          return discovery.lookNow(order, order.server, { anew: true });
        case 'reload-policies':
          return view.reload();
        case 'refetch-keys':
          return keys.refetch();
        case 'reread-rates':
          await holds.refresh();
          return storms.forget();
        case 'renew-credential': {
          const server = context.declared().find('McpServer', order, order.server);
          if (server) await context.credentials.renew(server);
          return discovery.lookNow(order, order.server, { anew: true });
        }
      }
    },
    logger: context.logger,
  });
