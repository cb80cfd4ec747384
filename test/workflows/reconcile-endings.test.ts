import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { propose } from '../support/diagnosis-place.ts';
import { type FixPeoplePlace, startFixPeoplePlace } from '../support/fix-people-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { deploymentManifest, deploymentRef } from '../support/reconcile-place.ts';

// a story of many processes and activities, on a machine that may be busy
vi.setConfig({ testTimeout: 150_000, hookTimeout: 150_000 });
let people: FixPeoplePlace;
beforeAll(async () => {
  people = await startFixPeoplePlace();
});
afterAll(() => people.close());

const stuck = { health: 'degraded' as const, symptoms: [{ code: 'Stuck', message: 'it hangs', count: 1 }] };
const well = { health: 'healthy' as const, symptoms: [] };
/** Of what is kept, `web` hangs until it has one replica; what one replica of it does to others is each test's. */
const hang = (isWorse: () => boolean): void =>
  people.loop.world.judgeBy(({ name }, state) => {
    const isMended = people.loop.worldState('web')?.spec.replicas === 1;
    return (name === 'web' && state.spec.replicas !== 1) || (name === 'b' && isMended && isWorse()) ? stuck : well;
  });

beforeEach(() => {
  const { loop, diagnosis } = people;
  for (const { ref } of loop.world.list()) loop.world.remove(ref);
  diagnosis.script.answer = () =>
    propose({
      ...{ diagnosis: 'Two of it are one too many.', confidence: 0.9 },
      operations: [{ op: 'scale', object: deploymentRef(), replicas: 1 }],
    });
});
afterEach(async () => {
  people.loop.world.faults.refuse = undefined;
  await people.loop.stop();
});

/** A fix that people were asked about by all channels, and approved; by the time it has ended in a state all is told. */
const approvedUntil = async (state: string) => {
  const { loop } = people;
  const name = loop.newName();
  const manifests = ['web', 'a', 'b', 'c'].map((one) => deploymentManifest(one));
  const channels = { channels: people.channels, contact: 'the desk, 555' };
  await loop.declare(name, { manifests, escalation: { role: 'diagnoser' }, limits: { blockSeconds: 600 }, ...channels });
  await loop.start(name);
  const { id, digest } = await loop.waiting(name);
  const message = await people.messageOf(id);
  expect((await people.post(id, 'approve', { digest })).body.state).toBe('approved');
  const fix = await pollUntil(async () => (await loop.fixesOf(name)).find((one) => one.state === state), `${name}: ${state}`, 60_000);
  const deliveries = await pollUntil(
    async () => {
      const all = [...(await people.deliveriesOf(id)), ...(await people.deliveriesOf(`${fix.id}/frozen`))];
      return all.filter(({ event }) => event === 'ended').length === 3 && all.every((one) => one.state === 'sent') ? all : undefined;
    },
    'all to be told',
    30_000,
  );
  const bodies = people.receiver.requests.map(({ body }) => JSON.parse(body));
  return {
    ...{ name, id, fix, deliveries },
    slack: JSON.stringify(people.slack.messages.get(message.ts)?.blocks),
    posted: [...people.slack.messages.values()].filter(({ text }) => text.includes(id) || text.includes(`${name}: `)),
    hooks: bodies.filter(({ data }) => JSON.stringify(data).includes(id) || data.title.startsWith(`${name}: `)),
    letters: people.mail.mails
      .map((text) => text.replaceAll('=\r\n', '').replaceAll('=3D', '='))
      .filter((text) => text.includes(`<${id}@`) || text.includes(`Subject: ${name}: `)),
  };
};

test('whoever was asked is told that what they approved helped: the question of Slack changes, webhook and mail say it once', async () => {
  hang(() => false);
  const { name, id, slack, posted, hooks, letters } = await approvedUntil('fixed');
  expect(posted, 'one message of Slack from the question to the end').toHaveLength(1);
  for (const text of [slack, JSON.stringify(hooks.at(-1)), letters.at(-1)]) {
    expect(text).toContain('It helped');
    expect(text).toContain('Deployment/shop/web is well again');
    expect(text).toContain('approved by reviewer');
    expect(text).toContain(`quarterdeck reconcile history ${name}`);
  }
  expect(hooks.map(({ type }) => type)).toEqual(['quarterdeck.approval', 'quarterdeck.decided', 'quarterdeck.ended']);
  expect(hooks.at(-1).data.approval).toMatchObject({ id, state: 'consumed' });
  expect(letters).toHaveLength(3);
  expect(letters.at(-1)).toContain(`In-Reply-To: <${id}@`);
});

test('that what they approved made it worse and was undone they are told with what comes next', async () => {
  hang(() => true);
  const { name, slack, posted, hooks, letters } = await approvedUntil('rolled-back');
  for (const text of [slack, JSON.stringify(hooks.at(-1)), letters.at(-1)]) {
    expect(text).toContain('It made things worse, and was undone');
    expect(text).toContain('The fault is there still.');
    expect(text).toContain(`quarterdeck reconcile explain ${name}`);
  }
  expect(posted).toHaveLength(1);
  expect(hooks.map(({ type }) => type)).toEqual(['quarterdeck.approval', 'quarterdeck.decided', 'quarterdeck.ended']);
  expect(letters).toHaveLength(3);
});

test('that its undo failed is one message by each channel, with how the freeze is lifted and whom to call', async () => {
  hang(() => true);
  people.loop.world.faults.refuse = (operationId) =>
    operationId.includes('/undo/') ? { kind: 'failed', reason: 'refused', message: 'a webhook says no' } : undefined;
  const { name, id, deliveries, slack, posted, hooks, letters } = await approvedUntil('frozen');
  expect(deliveries.filter(({ event }) => event === 'page')).toHaveLength(3);
  for (const text of [slack, JSON.stringify(hooks.at(-1)), letters.at(-1)]) {
    expect(text).toContain('Its undo failed, and the target is frozen');
    expect(text).toContain('a webhook says no');
    expect(text).toContain(`quarterdeck reconcile thaw ${name} --reason TEXT`);
    expect(text).toContain('the desk, 555');
  }
  // a changed message wakes nobody: in Slack alone the page stands beside it
  expect(posted.map(({ text }) => text.includes(id))).toEqual([true, false]);
  expect(hooks.map(({ type }) => type)).toEqual(['quarterdeck.approval', 'quarterdeck.decided', 'quarterdeck.ended']);
  expect(letters).toHaveLength(3);
});
