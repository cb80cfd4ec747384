import { afterAll, beforeAll, expect, test } from 'vitest';
import { startNotify } from '../../control/notify/start-notify.ts';
import { getApproval } from '../../store/approvals.ts';
import { askFor, byReviewers, callToApprove, runOut } from '../support/ask-approval.ts';
import { pollUntil } from '../support/poll-until.ts';
import { guestToken, type RunningApi, startRunningApi } from '../support/running-api.ts';
import { type SlackMessage, startSlackServer } from '../support/slack-server.ts';

const token = 'xoxb-test-0123456789';
const signingSecret = '0123456789abcdef0123456789abcdef';

let api: RunningApi;
let slack: Awaited<ReturnType<typeof startSlackServer>>;
let notify: { close(): Promise<void> };
let endpoint: string;

const start = () =>
  startNotify({
    ...{ database: api.database, secrets: api.channelSecrets, network: api.network, publicUrl: api.url, logger: api.logger },
    clock: () => new Date(),
    intervalMs: 20,
  });

beforeAll(async () => {
  slack = await startSlackServer({ token, signingSecret });
  api = await startRunningApi({ cedar: true, secretValues: { SLACK_TOKEN: token, SLACK_SIGNING: signingSecret } });
  endpoint = `${api.url}/api/slack/default/default/ops`;
  const applied = await api.apply({
    apiVersion: 'quarterdeck.dev/v1alpha1',
    kind: 'Channel',
    metadata: { name: 'ops' },
    spec: {
      type: 'slack',
      apiUrl: slack.apiUrl,
      channel: 'ops',
      token: { env: 'SLACK_TOKEN' },
      signingSecret: { env: 'SLACK_SIGNING' },
      people: { U0REVIEWER: 'reviewer', U0GUEST: 'guest' },
      announces: ['call'],
    },
  });
  expect(applied.status).toBe(200);
  notify = start();
});
afterAll(async () => {
  await notify.close();
  await api.close();
  await slack.close();
});

const messageOf = (id: string): Promise<SlackMessage> =>
  pollUntil(() => [...slack.messages.values()].find(({ text }) => text.includes(id)), `a message about ${id}`);
const stateOf = async (id: string) => (await getApproval(api.database, { org: 'default', project: 'default', id })).state;
const press = (
  message: SlackMessage,
  action: 'approve' | 'deny',
  more: { user?: string; at?: Date; secret?: string; value?: string } = {},
) => slack.press(endpoint, message, `quarterdeck_${action}`, { user: 'U0REVIEWER', at: api.clock.now, ...more });
const ask = async () => (await askFor(api.database, callToApprove())).id;

test('an approval is told once, with what, who, until when and the digest; a press approves it and the buttons give way to name and time', async () => {
  const id = await ask();
  const message = await messageOf(id);
  const text = JSON.stringify(message.blocks);
  for (const part of ['a call of write at files', 'It writes.', 'role:reviewer', id]) expect(text).toContain(part);
  expect(text, 'arguments of a call are for those who may see it').not.toContain('/out/a');
  expect(slack.buttonOf(message, 'quarterdeck_approve')).toBeDefined();

  const pressed = await press(message, 'approve');
  expect(pressed.status).toBe(200);
  expect(pressed.ms).toBeLessThan(3_000);
  expect(await stateOf(id)).toBe('approved');
  const changed = await pollUntil(() => {
    const now = slack.messages.get(message.ts);
    return now && slack.buttonOf(now, 'quarterdeck_approve') === undefined ? now : undefined;
  }, 'the message without buttons');
  expect(JSON.stringify(changed.blocks)).toMatch(/approved by reviewer at \d{4}-/);
  // a double click, and a third one later
  expect((await press(message, 'approve')).status).toBe(200);
  expect(await stateOf(id)).toBe('approved');
  expect([...slack.messages.values()].filter(({ text: told }) => told.includes(id))).toHaveLength(1);
  const row = await api.database.$client.query(`select stamp from approval_decisions where approval_id = $1`, [id]);
  expect(row.rows).toEqual([{ stamp: 'slack' }]);
});

test('who is not of Slack, comes late, or signs with another secret gets one answer, and nothing happens', async () => {
  const id = await ask();
  const message = await messageOf(id);
  const late = new Date(api.clock.now.getTime() - 301_000);
  const early = new Date(api.clock.now.getTime() + 301_000);
  for (const wrong of [{ secret: 'another' }, { at: late }, { at: early }])
    expect((await press(message, 'approve', wrong)).status).toBe(401);
  const unsigned = await fetch(endpoint, { method: 'POST', body: 'payload=%7B%7D' });
  const elsewhere = await fetch(endpoint.replace(/ops$/, 'nowhere'), { method: 'POST', body: 'payload=%7B%7D' });
  const [first, second] = [await unsigned.json(), await elsewhere.json()] as { title: string; detail: string }[];
  expect([unsigned.status, elsewhere.status]).toEqual([401, 401]);
  expect(first?.detail).toBe(second?.detail);
  // the signature is of other bytes
  const body = `payload=${encodeURIComponent('{}')}`;
  const tampered = await fetch(endpoint, { method: 'POST', headers: slack.sign(body, { at: api.clock.now }), body: `${body}&more=1` });
  expect(tampered.status).toBe(401);
  expect(await stateOf(id)).toBe('pending');
});

test('who may not answer is told so alone, whatever they press, and the approval stays open', async () => {
  const id = await ask();
  const message = await messageOf(id);
  const before = slack.toldAlone.length;
  await press(message, 'approve', { user: 'U0STRANGER' });
  await press(message, 'approve', { user: 'U0GUEST' });
  await press(message, 'approve', { user: '__proto__' });
  // of another call: the digest is of other bytes
  const { value = '{}' } = slack.buttonOf(message, 'quarterdeck_approve') ?? {};
  await press(message, 'approve', { value: JSON.stringify({ ...JSON.parse(value), digest: 'a'.repeat(64) }) });
  await press(message, 'approve', { value: JSON.stringify({ ...JSON.parse(value), project: 'other' }) });
  const told = await pollUntil(() => (slack.toldAlone.length >= before + 5 ? slack.toldAlone.slice(before) : undefined), 'five answers');
  expect(told[0]).toContain("Slack's user U0STRANGER is nobody here");
  expect(told[1]).toContain('guest');
  expect(told[3]).toContain('another digest');
  expect(told[4]).toContain('its own project only');
  expect(await stateOf(id)).toBe('pending');
  expect((await press(message, 'deny')).status).toBe(200);
  expect(await stateOf(id)).toBe('denied');
});

test('a late press finds an approval that is over, and the message says so', async () => {
  const id = await ask();
  const message = await messageOf(id);
  await runOut(api.database, id);
  const before = slack.toldAlone.length;
  await press(message, 'approve');
  await pollUntil(() => slack.toldAlone.length > before || undefined, 'the answer');
  expect(slack.toldAlone.at(-1)).toMatch(/expired/);
  const changed = await pollUntil(() => {
    const now = slack.messages.get(message.ts);
    return now && slack.buttonOf(now, 'quarterdeck_approve') === undefined ? now : undefined;
  }, 'the message without buttons');
  expect(JSON.stringify(changed.blocks)).toContain('Expired, which counts as denied');
});

test('while Slack is down or limits us nothing is lost, and afterwards each is told once', async () => {
  slack.state.failures = 1;
  slack.state.limited = 1;
  const ids = await Promise.all([ask(), ask()]);
  // the outbox waits seconds between tries; its clock is the database's
  const hurry = setInterval(() => void api.database.$client.query(`update channel_deliveries set due_at = now() where state = 'due'`), 50);
  for (const id of ids) await messageOf(id);
  clearInterval(hurry);
  for (const id of ids) expect([...slack.messages.values()].filter(({ text }) => text.includes(id))).toHaveLength(1);
});

test('several that run at once, and one that is started anew, tell each thing once', async () => {
  const others = [start(), start()];
  const ids = await Promise.all(Array.from({ length: 12 }, ask));
  for (const id of ids) await messageOf(id);
  await notify.close();
  await Promise.all(others.map((other) => other.close()));
  notify = start();
  const last = await ask();
  await messageOf(last);
  for (const id of [...ids, last]) expect([...slack.messages.values()].filter(({ text }) => text.includes(id))).toHaveLength(1);
});

test('texts of others mention nobody, lead nowhere and hide nothing', async () => {
  const reason = 'see <!channel> <https://evil.example|the plan> &amp; \u202Eyas';
  const { id } = await askFor(api.database, { ...callToApprove(), need: { rules: [byReviewers], expiresInSeconds: 900, reason } });
  const message = await messageOf(id);
  // what notifications show is read for such marks too
  expect(message.text).not.toContain('<!channel>');
  const text = JSON.stringify(message.blocks);
  expect(text).toContain('&lt;!channel&gt;');
  expect(text).not.toContain('<!channel>');
  expect(text).not.toContain('\u202E');
});

/** Whoever may declare things here, with a channel whose secret they know and that says that their own user is a reviewer. */
test('nobody gives themselves a reviewer: whom a channel takes for whom is an administrator’s to say', async () => {
  const apiVersion = 'quarterdeck.dev/v1alpha1';
  const cedar =
    'permit (principal in Quarterdeck::Group::"default/engineering", action in [Quarterdeck::Action::"administer", Quarterdeck::Action::"observe"], resource);';
  const open = await api.apply(
    { apiVersion, kind: 'Project', metadata: { name: 'default' }, spec: {} },
    { apiVersion, kind: 'PolicySet', metadata: { name: 'developers-apply' }, spec: { cedar } },
  );
  expect(open.status).toBe(200);
  const byGuest = (body: object) => api.request('POST', '/apply', { body: { documents: [body] }, token: guestToken });
  const rule = {
    apiVersion,
    kind: 'ReconcileRule',
    metadata: { name: 'of-a-guest' },
    spec: { state: 'draft', match: 'true', operations: [{ op: 'restart', object: { $drift: 'object' } }] },
  };
  await pollUntil(async () => (await byGuest(rule)).status === 200 || undefined, 'the policies in force');

  const id = await ask();
  const message = await messageOf(id);
  const declared = await byGuest({
    apiVersion,
    kind: 'Channel',
    metadata: { name: 'mine' },
    spec: {
      ...{ type: 'slack', apiUrl: slack.apiUrl, channel: 'mine', token: { env: 'SLACK_TOKEN' }, signingSecret: { env: 'SLACK_SIGNING' } },
      people: { U0EVIL: 'reviewer' },
    },
  });
  const endpointOfMine = endpoint.replace(/ops$/, 'mine');
  const pressed = await slack.press(endpointOfMine, message, 'quarterdeck_approve', { user: 'U0EVIL', at: api.clock.now });
  expect(await stateOf(id)).toBe('pending');
  expect([declared.status, pressed.status]).toEqual([403, 401]);
});
