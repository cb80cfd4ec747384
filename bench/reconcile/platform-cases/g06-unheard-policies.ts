import { sql } from 'drizzle-orm';
import { breakableOf, offers, type PlatformCase } from './platform-case.ts';
import { wrongPlatformFix } from './wrong-platform-fix.ts';

const closed =
  '@id("closed") @advice("Closed.") forbid (principal, action in [Quarterdeck::Action::"listTool", Quarterdeck::Action::"callTool"], resource is Quarterdeck::Tool);';

/** The connection on which the database tells the gateway of changes is lost, and then the owner closes all tools. */
export const unheardPolicies: PlatformCase = {
  id: 'G06',
  fault: 'a gateway decides by policies that are not those declared',
  watch: ['policies'],
  breaksProcesses: true,
  inject: async (lane) => {
    const { owner, database, later } = lane;
    const { pidOf } = breakableOf(lane);
    await database.execute(
      sql`select pg_terminate_backend(pid) from pg_stat_activity where query = 'listen quarterdeck_declared' and application_name = 'quarterdeck-gateway'`,
    );
    // it hears nothing any more: the next case gets another
    later(() => {
      const pid = pidOf('gateway');
      if (pid !== undefined) process.kill(pid, 'SIGTERM');
    });
    await owner.apply({ kind: 'PolicySet', metadata: { name: 'rules' }, spec: { cedar: closed } });
  },
  seenAs: /^unhealthy PolicyBundle\/\S+ PolicyMismatch/,
  tellableAfterMs: 15_000,
  isWell: async (lane) => {
    const isClosed = await lane.owner.get('/resources/PolicySet/rules').then(
      () => true,
      () => false,
    );
    return offers(lane, 'tools', ...(isClosed ? [] : ['look', 'list']));
  },
  right: { ends: ['fixed'], changes: /^offered: tools$/, operations: () => [{ op: 'reloadPolicies' }] },
  wrong: (lane) => wrongPlatformFix('G06', lane),
};
