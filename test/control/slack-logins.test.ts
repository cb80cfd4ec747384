import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { startNotify } from '../../control/notify/start-notify.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import { getApproval } from '../../store/approvals.ts';
import { applyResources } from '../../store/resources.ts';
import { askForFix, fixRule } from '../support/ask-for-fix.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type RunningApi, startRunningApi } from '../support/running-api.ts';
import { startSlackServer } from '../support/slack-server.ts';

const token = 'xoxb-test-0123456789';
const signingSecret = '0123456789abcdef0123456789abcdef';

let api: RunningApi;
let slack: Awaited<ReturnType<typeof startSlackServer>>;
let notify: { close(): Promise<void> };
beforeAll(async () => {
  slack = await startSlackServer({ token, signingSecret });
  api = await startRunningApi({
    ...{ profile: 'production', cedar: true },
    secretValues: { SLACK_TOKEN: token, SLACK_SIGNING: signingSecret },
  });
  const channel = resourceSchemas.Channel.parse({
    ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Channel', metadata: { name: 'ops' } },
    spec: {
      ...{ type: 'slack', apiUrl: slack.apiUrl, channel: 'ops', token: { env: 'SLACK_TOKEN' }, signingSecret: { env: 'SLACK_SIGNING' } },
      ...{ people: { U0REVIEWER: 'reviewer' }, announces: ['fix'] },
    },
  });
  await applyResources(api.database, [channel], 'admin');
  const { database, channelSecrets: secrets, network, url: publicUrl, logger } = api;
  notify = startNotify({ database, secrets, network, publicUrl, logger, clock: () => new Date(), intervalMs: 20 });
});
afterAll(async () => {
  await notify?.close();
  await api?.close();
  await slack?.close();
});
beforeEach(() => api.database.$client.query(`delete from issuer_records where model = 'RefreshToken'`));

/** A login of the reviewer here, in the row that the issuer keeps of it. */
const logIn = (secondsAgo: number, { acr = '1', isOver = false } = {}) =>
  api.database.$client.query(
    `insert into issuer_records (model, id, payload, account, expires_at) values ('RefreshToken', $1, $2, $3, $4)`,
    [
      randomUUID(),
      { kind: 'RefreshToken', authTime: Math.floor(api.clock.now.getTime() / 1000) - secondsAgo, acr },
      'default/reviewer',
      isOver ? '2020-01-01' : '2100-01-01',
    ],
  );
const messageOf = (id: string) =>
  pollUntil(() => [...slack.messages.values()].find(({ text }) => text.includes(id)), `a message about ${id}`);
const stateOf = async (id: string) => (await getApproval(api.database, { org: 'default', project: 'default', id })).state;
/** Presses a button. @returns what the person is told alone, where it is refused */
const press = async (id: string, verb: 'approve' | 'deny') => {
  const before = slack.toldAlone.length;
  const was = await stateOf(id);
  await slack.press(`${api.url}/api/slack/default/default/ops`, await messageOf(id), `quarterdeck_${verb}`, {
    ...{ user: 'U0REVIEWER', at: api.clock.now },
  });
  return pollUntil(async () => slack.toldAlone[before] ?? ((await stateOf(id)) === was ? undefined : ''), 'an answer');
};

test.each([
  ['never', async () => undefined],
  ['six minutes ago', () => logIn(360)],
  ['just now, with a login that is over', () => logIn(0, { isOver: true })],
])(
  'a button of Slack proves no login: who logged in here %s is told to log in anew, and approves nothing; a login of just now is enough',
  async (_when, login) => {
    const { approvalId } = await askForFix(api.database);
    await login();
    expect(await press(approvalId, 'approve')).toContain('quarterdeck login --fresh');
    expect(await stateOf(approvalId)).toBe('pending');
    await logIn(60);
    expect(await press(approvalId, 'approve')).toBe('');
    expect(await stateOf(approvalId)).toBe('approved');
  },
);

test('nor that it was by two things, where the target asks for that; saying no takes no login', async () => {
  const strong = () => askForFix(api.database, { rules: [{ ...fixRule, acr: 2 }] });
  const { approvalId } = await strong();
  await logIn(0);
  expect(await press(approvalId, 'approve')).not.toBe('');
  expect(await stateOf(approvalId)).toBe('pending');
  await logIn(10, { acr: 'phr' });
  const other = await strong();
  await api.database.$client.query(`delete from issuer_records where payload->>'acr' = '1'`);
  expect(await press(other.approvalId, 'approve')).toBe('');
  expect(await stateOf(other.approvalId)).toBe('approved');
  await api.database.$client.query(`delete from issuer_records where model = 'RefreshToken'`);
  expect(await press(approvalId, 'deny')).toBe('');
  expect(await stateOf(approvalId)).toBe('denied');
});
