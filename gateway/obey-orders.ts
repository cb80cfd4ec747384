import type { ProcessReport } from '../schema/process-report.ts';
import { followOrders } from '../store/follow-orders.ts';
import type { IssuerKeys } from './auth/issuer-keys.ts';
import type { followDeclared } from './follow-declared.ts';
import type { GatewayContext } from './gateway-context.ts';
import type { createServerDiscovery } from './upstream/discover-servers.ts';

/** Tells the reconciler what this gateway has in its memory, and does what it asks: look again, let go, read anew. None of it opens anything. */
export const obeyOrders = ({
  context,
  view,
  discovery,
  keys,
}: {
  context: GatewayContext;
  view: Pick<ReturnType<typeof followDeclared>, 'refresh' | 'reload'>;
  discovery: Pick<ReturnType<typeof createServerDiscovery>, 'report' | 'lookNow'>;
  keys: IssuerKeys;
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
      }
    },
    logger: context.logger,
  });
