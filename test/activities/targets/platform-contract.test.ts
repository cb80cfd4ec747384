import pino from 'pino';
import { afterAll } from 'vitest';
import { createPlatformTarget } from '../../../activities/targets/platform-target.ts';
import { PlatformTargetSchema } from '../../../schema/resources/reconcile-target.ts';
import { closeDatabase, openDatabase } from '../../../store/database.ts';
import { followOrders } from '../../../store/follow-orders.ts';
import { putRateHold } from '../../../store/rate-holds.ts';
import { applyResources } from '../../../store/resources.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { parsed } from '../../support/running-gateway.ts';
import { useTestDatabase } from '../../support/store-database.ts';
import { targetContract } from '../../support/target-contract.ts';
import { startTcpSwitch } from '../../support/tcp-switch.ts';

const { database, url } = useTestDatabase();
const place = { org: 'default', project: 'default' };
const cleanUp: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const step of cleanUp.toReversed()) await step();
});

/** The adapter's own way to the database, which can be cut; the gateway that answers its orders has another one. */
const openOwnWay = async () => {
  const through = new URL(url());
  const wire = await startTcpSwitch(Number(through.port));
  through.hostname = '127.0.0.1';
  through.port = String(wire.port);
  const own = openDatabase({ url: through.href, max: 4, name: 'contract' });
  cleanUp.push(wire.close, () => closeDatabase(own));
  return { wire, own };
};

targetContract(
  'the adapter of this installation keeps what a target promises',
  async () => {
    const { wire, own } = await openOwnWay();
    const keys = { kids: [], fetchedAt: '', failure: '' };
    const gateway = followOrders({
      ...{ database: database(), instance: 'gateway/one', logger: pino({ level: 'silent' }) },
      report: () => ({ process: 'gateway' as const, servers: [], policies: {}, keys, storms: [], refusedCredentials: [] }),
      carryOut: async () => undefined,
    });
    cleanUp.push(gateway.close);
    await applyResources(
      database(),
      parsed({ kind: 'McpServer', metadata: { name: 'desk' }, spec: { url: 'http://127.0.0.1:9/mcp' } }),
      'admin',
    );
    const { $client } = database();
    await $client.query(`
    create table writes_seen (number serial);
    create function see_write() returns trigger language plpgsql as $$ begin insert into writes_seen default values; return null; end $$;
    create trigger see_write after insert or update or delete on rate_holds for each row execute function see_write()`);
    const port = createPlatformTarget({ database: own, patience: { orderMs: 10_000 } });
    const spec = PlatformTargetSchema.parse({ type: 'platform', watch: ['servers'] });
    const target = { ...place, name: 'platform', generation: 1, spec };
    const isThere = async () => ((await port.observe(target, AbortSignal.timeout(5000))).status === 'read' ? true : undefined);
    await pollUntil(isThere, 'the gateway to say what it has');
    const object = { apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'McpServer', namespace: '', name: 'desk' };
    let edits = 100;
    return {
      ...{ port, target },
      operation: { op: 'limitRate', object, callsPerMinute: 30 },
      senseless: { op: 'rotateCredential', object: { ...object, kind: 'Toolset' } },
      edit: () => {
        edits += 1;
        return putRateHold(database(), { ...place, kind: 'McpServer', name: 'desk', callsPerMinute: edits, operationId: 'by hand' });
      },
      writes: async () => Number((await $client.query('select count(*) from writes_seen')).rows[0].count),
      goAway: async () => {
        wire.cut();
        return async () => wire.mend();
      },
    };
  },
  { losesAnswers: false },
);
