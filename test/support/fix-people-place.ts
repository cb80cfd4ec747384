import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import type { TemporalPort } from '../../control/api/api-dependencies.ts';
import { createTemporalPort } from '../../control/api/temporal-port.ts';
import { startNotify } from '../../control/notify/start-notify.ts';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import { queryAudit } from '../../store/audit.ts';
import { replacePersonToken } from '../../store/people.ts';
import { findFixOfApproval } from '../../store/reconcile-fixes.ts';
import { startDiagnosisPlace } from './diagnosis-place.ts';
import { pollUntil } from './poll-until.ts';
import { type ReconcilePlace, startReconcilePlace } from './reconcile-place.ts';
import { runCli } from './run-cli.ts';
import { adminToken, guestToken, reviewerToken, startRunningApi } from './running-api.ts';
import { startSlackServer } from './slack-server.ts';
import { startTestTemporal } from './temporal.ts';

const slackToken = 'xoxb-test-0123456789';
const signingSecret = '0123456789abcdef0123456789abcdef';
export const webhookSecret = `whsec_${Buffer.from('a secret of thirty-two characters').toString('base64')}`;
export const tokens = {
  ...{ admin: adminToken, reviewer: reviewerToken, guest: guestToken },
  ...{ rita: 'test-rita-token-0123456789', rob: 'test-rob-token-0123456789' },
};
export type Somebody = keyof typeof tokens;

const startReceiver = async () => {
  const requests: { headers: Record<string, string>; body: string }[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    requests.push({ headers: request.headers as Record<string, string>, body });
    response.writeHead(204).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, requests, close: () => server.close() };
};

const startMailServer = async () => {
  const mails: string[] = [];
  const server = new SMTPServer({
    ...{ disabledCommands: ['AUTH', 'STARTTLS'], hideSTARTTLS: true, logger: false },
    onData: (stream, _session, done) => {
      let mail = '';
      stream.on('data', (part) => {
        mail += part;
      });
      stream.on('end', () => {
        mails.push(mail);
        done();
      });
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((ready) => void server.listen(0, '127.0.0.1', ready));
  return { port: (server.server.address() as AddressInfo).port, mails, close: () => new Promise<void>((closed) => server.close(closed)) };
};

/**
 * The reconciler with the people around it: the real loop, api, command line and notifier on one database, a scripted model behind the real
 * gateway, and a Slack, a webhook and a mail server that are told. Only what is kept is in memory.
 */
export const startFixPeoplePlace = async () => {
  const [slack, receiver, mail, temporalServer] = await Promise.all([
    startSlackServer({ token: slackToken, signingSecret }),
    startReceiver(),
    startMailServer(),
    startTestTemporal(),
  ]);
  const diagnosis = await startDiagnosisPlace();
  const { gateway, client } = diagnosis;
  let place: ReconcilePlace | undefined;
  const real = createTemporalPort(temporalServer);
  // the workers of a test have queues of their own, so that what is started is started there
  const temporal: TemporalPort = { ...real, startReconcile: async ({ target }) => place?.start(target) };
  const api = await startRunningApi({
    ...{ cedar: true, temporal, databaseUrl: gateway.config.databaseUrl },
    secretValues: { SLACK_TOKEN: slackToken, SLACK_SIGNING: signingSecret, HOOK: webhookSecret },
    targetPorts: { of: (type) => (type === 'kubernetes' ? (place?.target as never) : undefined) },
  });
  const { database } = api;
  place = await startReconcilePlace({ database, contents: api.contentStore, gateway: client, owner: 'admin' });
  const loop: ReconcilePlace = place;
  for (const person of ['rita', 'rob'] as const)
    await replacePersonToken(database, { org: 'default', personId: person, stamp: `${person}-token`, token: tokens[person] });
  const ticking = setInterval(() => {
    api.clock.now = new Date(Date.now() + loop.time.offsetMs);
  }, 20);

  const channel = (name: string, spec: object) => ({
    ...{ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Channel', metadata: { name } },
    spec,
  });
  const applied = await api.apply(
    channel('ops', {
      ...{ type: 'slack', apiUrl: slack.apiUrl, channel: 'ops', token: { env: 'SLACK_TOKEN' }, signingSecret: { env: 'SLACK_SIGNING' } },
      people: { U0REVIEWER: 'reviewer', U0GUEST: 'guest' },
    }),
    channel('hook', { type: 'webhook', url: receiver.url, secret: { env: 'HOOK' } }),
    channel('mail', {
      ...{ type: 'email', smtp: { host: '127.0.0.1', port: mail.port, tls: 'none' } },
      ...{ from: 'quarterdeck@example.com', to: ['ops@example.com'] },
    }),
  );
  if (applied.status !== 200) throw new Error(JSON.stringify(applied.body));
  const notify = startNotify({
    ...{ database, secrets: api.channelSecrets, network: api.network, publicUrl: api.url, logger: api.logger },
    ...{ clock: () => new Date(), intervalMs: 20 },
  });
  const path = (id: string, verb = '') => ['/default/default/approvals', id, verb].filter(Boolean).join('/');

  return {
    ...{ api, database, diagnosis, loop, slack, receiver, mail },
    channels: ['ops', 'hook', 'mail'],
    /** The command line as somebody. */
    qd: (args: string[], person: Somebody = 'reviewer', input?: string) =>
      runCli(args, {
        env: { QUARTERDECK_URL: api.url, QUARTERDECK_TOKEN: tokens[person] },
        ...(input === undefined ? {} : { input }),
      }),
    /** Answers at the api. */
    post: (id: string, verb: string, body: object, token: string | null = tokens.reviewer, headers: Record<string, string> = {}) =>
      api.request('POST', path(id, verb), { token, body, headers }),
    messageOf: (id: string) =>
      pollUntil(() => [...slack.messages.values()].find(({ text }) => text.includes(id)), `a message of Slack about ${id}`, 20_000),
    press: (message: Parameters<typeof slack.press>[1], verb: 'approve' | 'deny', user = 'U0REVIEWER') =>
      slack.press(`${api.url}/api/slack/default/default/ops`, message, `quarterdeck_${verb}`, { user, at: api.clock.now }),
    audited: (query: object) => queryAudit(database, defaultTenancy, AuditQuerySchema.parse({ limit: 1000, ...query }), api.audit.people),
    /** What is to be told of an approval, or of what people are called for, and whether it was. */
    deliveriesOf: async (subject: string) =>
      (
        await database.$client.query<{ channel: string; event: string; state: string }>(
          'select channel, event, state from channel_deliveries where subject = $1 order by event, channel',
          [subject],
        )
      ).rows,
    fixOf: (approvalId: string) => findFixOfApproval(database, defaultTenancy, approvalId),
    close: async (): Promise<void> => {
      clearInterval(ticking);
      await notify.close();
      await loop.close();
      await api.close();
      await real.close();
      await diagnosis.close();
      await slack.close();
      receiver.close();
      await mail.close();
    },
  };
};
export type FixPeoplePlace = Awaited<ReturnType<typeof startFixPeoplePlace>>;
