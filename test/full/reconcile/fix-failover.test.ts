import { afterAll, beforeAll, expect, test } from 'vitest';
import { AuditQuerySchema } from '../../../schema/audit-event.ts';
import { defaultTenancy } from '../../../schema/ids.ts';
import { getApproval } from '../../../store/approvals.ts';
import { queryAudit } from '../../../store/audit.ts';
import { closeDatabase, type Database, openDatabase } from '../../../store/database.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { startPostgresPair } from '../../support/postgres-pair.ts';
import { deploymentManifest, deploymentRef, type ReconcilePlace, startReconcilePlace } from '../../support/reconcile-place.ts';
import { startTcpSwitch } from '../../support/tcp-switch.ts';

let pair: Awaited<ReturnType<typeof startPostgresPair>>;
let way: Awaited<ReturnType<typeof startTcpSwitch>>;
let database: Database;
let place: ReconcilePlace;
const portOf = (url: string): number => Number(new URL(url).port);

beforeAll(async () => {
  pair = await startPostgresPair();
  way = await startTcpSwitch(portOf(pair.firstUrl));
  const url = new URL(pair.firstUrl);
  url.port = String(way.port);
  database = openDatabase({ url: url.href, name: 'fix-failover' });
  database.$client.on('error', () => undefined);
  place = await startReconcilePlace({ database, worldPerTarget: true });
}, 180_000);
afterAll(async () => {
  await place?.stop();
  await place?.close();
  if (database) await closeDatabase(database).catch(() => undefined);
  await way?.close();
  await pair?.close();
});

/** A critical target whose Deployment is gone: it is made again when people have said yes. */
const asked = async () => {
  const name = place.newName();
  await place.declare(name, { critical: true, manifests: [deploymentManifest(), ...['a', 'b'].map((one) => deploymentManifest(one))] });
  place.worldOf(name).remove(deploymentRef());
  await place.start(name);
  return { name, approval: await place.waiting(name, 60_000) };
};
type Asked = Awaited<ReturnType<typeof asked>>;
/** The same approval given 50 times at once, by two people, each with a signal of its own. @returns how many were heard */
const answerAtOnce = async ({ name, approval }: Asked): Promise<number> => {
  const answers = await Promise.allSettled(
    Array.from({ length: 50 }, (_, index) => place.answer(name, approval, index % 2 === 0 ? 'rita' : 'rob')),
  );
  return answers.filter(({ status }) => status === 'fulfilled').length;
};
const fixed = (name: string) =>
  pollUntil(async () => (await place.fixesOf(name).catch(() => [])).find(({ state }) => state === 'fixed'), `${name}: fixed`, 120_000);

test('an approval of a fix that is given 50 times at once, before, while and after the database dies and its standby takes over, is applied exactly once', {
  timeout: 300_000,
}, async () => {
  const [early, amid, answering, late] = [await asked(), await asked(), await asked(), await asked()];
  expect(await answerAtOnce(early)).toBeGreaterThan(0);
  await fixed(early.name);

  // the database dies between the use of one approval and its effect, and while another is being given
  let answered: Promise<number> | undefined;
  let died: Promise<void> | undefined;
  place.worldOf(amid.name).faults.apply = async (moment) => {
    if (moment !== 'before' || died !== undefined) return;
    answered = answerAtOnce(answering);
    died = (async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      way.cut();
      await pair.failOver();
      way.turnTo(portOf(pair.secondUrl));
      way.mend();
    })();
    await died;
  };
  expect(await answerAtOnce(amid)).toBeGreaterThan(0);
  await pollUntil(() => died !== undefined || undefined, 'the approval to be used', 60_000);
  await died;
  await answered;

  const all = [early, amid, answering, late];
  for (const one of all) await answerAtOnce(one);
  for (const { name } of all) await fixed(name);
  // and once more, when all is done
  for (const one of all) await answerAtOnce(one);
  for (const { name } of all) await place.ended(name);

  const used = await queryAudit(database, defaultTenancy, AuditQuerySchema.parse({ action: 'useApproval', limit: 1000 }));
  const writes = await queryAudit(database, defaultTenancy, AuditQuerySchema.parse({ action: 'applyFix', limit: 1000 }));
  for (const { name, approval } of all) {
    const [fix, ...others] = await place.fixesOf(name);
    expect(others, name).toEqual([]);
    expect(place.worldOf(name).effects, name).toEqual([`${fix?.id}/do/0`]);
    expect((await getApproval(database, { ...defaultTenancy, id: approval.id })).state).toBe('consumed');
    expect(used.filter(({ resource }) => resource === `Approval/${approval.id}`)).toHaveLength(1);
    const outcomes = writes.filter(({ kind, operationId }) => kind === 'outcome' && operationId === `${fix?.id}/do/0`);
    expect(outcomes).toMatchObject([{ outcome: 'ok' }]);
  }
});
