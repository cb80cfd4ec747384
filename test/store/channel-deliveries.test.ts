import { expect, test } from 'vitest';
import { addDeliveries, announceDecided } from '../../store/channel-deliveries.ts';
import { askFor, callToApprove, runOut } from '../support/ask-approval.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { database } = useTestDatabase();
const rows = async () =>
  (await database().$client.query('select event, is_followed from channel_deliveries order by event')).rows as {
    event: string;
    is_followed: boolean;
  }[];

test('the end of an announced approval is put down once, and is not looked for again', async () => {
  const { id } = await askFor(database(), callToApprove());
  await addDeliveries(database(), [{ org: 'default', project: 'default', channel: 'ops', event: 'approval', subject: id }]);
  expect(await announceDecided(database())).toBe(0);
  expect(await rows()).toEqual([{ event: 'approval', is_followed: false }]);
  await runOut(database(), id);
  expect(await announceDecided(database())).toBe(1);
  const followed = [
    { event: 'approval', is_followed: true },
    { event: 'decided', is_followed: false },
  ];
  expect(await rows()).toEqual(followed);
  expect(await announceDecided(database())).toBe(0);
  // as after a kill between the two: found again, and put down no second time
  await database().$client.query('update channel_deliveries set is_followed = false');
  expect(await announceDecided(database())).toBe(0);
  expect(await rows()).toEqual(followed);
});
