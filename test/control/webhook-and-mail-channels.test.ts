import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createChannelNetwork } from '../../control/notify/channel-fetch.ts';
import type { ChannelMessage } from '../../control/notify/channel-message.ts';
import { startNotify } from '../../control/notify/start-notify.ts';
import { addDeliveries } from '../../store/channel-deliveries.ts';
import { askFor, byReviewers, callToApprove } from '../support/ask-approval.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type RunningApi, reviewerToken, startRunningApi } from '../support/running-api.ts';

const secret = `whsec_${Buffer.from('a secret of thirty-two characters').toString('base64')}`;

const startReceiver = async () => {
  const requests: { headers: Record<string, string>; body: string }[] = [];
  const state = { failures: 0 };
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    requests.push({ headers: request.headers as Record<string, string>, body });
    state.failures -= 1;
    response.writeHead(state.failures >= 0 ? 500 : 204).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, requests, state, close: () => server.close() };
};

const startMailServer = async (options: object = {}) => {
  const mails: string[] = [];
  const server = new SMTPServer({
    disabledCommands: ['AUTH', 'STARTTLS'],
    hideSTARTTLS: true,
    logger: false,
    ...options,
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

let api: RunningApi;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
let mail: Awaited<ReturnType<typeof startMailServer>>;
let encrypted: Awaited<ReturnType<typeof startMailServer>>;
let notify: { close(): Promise<void> };

const channel = (name: string, spec: object) => ({ apiVersion: 'quarterdeck.dev/v1alpha1', kind: 'Channel', metadata: { name }, spec });
const place = { org: 'default', project: 'default' };

beforeAll(async () => {
  receiver = await startReceiver();
  mail = await startMailServer();
  encrypted = await startMailServer({ disabledCommands: ['AUTH'], hideSTARTTLS: false });
  api = await startRunningApi({ cedar: true, secretValues: { HOOK: secret } });
  const from = 'quarterdeck@example.com';
  const to = ['ops@example.com'];
  const applied = await api.apply(
    channel('hook', { type: 'webhook', url: receiver.url, secret: { env: 'HOOK' }, announces: ['call'] }),
    channel('mail', { type: 'email', smtp: { host: '127.0.0.1', port: mail.port, tls: 'none' }, from, to, announces: ['call'] }),
    // its certificate is nobody's: mail goes there to no avail
    channel('doubtful', { type: 'email', smtp: { host: '127.0.0.1', port: encrypted.port }, from, to, events: ['page'] }),
    channel('plain', { type: 'email', smtp: { host: '127.0.0.1', port: mail.port }, from, to, events: ['page'] }),
    channel('inside', { type: 'webhook', url: 'http://169.254.169.254/latest', secret: { env: 'HOOK' }, events: ['page'] }),
    channel('unset', { type: 'webhook', url: receiver.url, secret: { env: 'NO_SUCH' }, events: ['page'] }),
  );
  expect(applied.status).toBe(200);
  notify = startNotify({
    ...{ database: api.database, secrets: api.channelSecrets, network: api.network, publicUrl: api.url, logger: api.logger },
    clock: () => new Date(),
    intervalMs: 20,
  });
});
afterAll(async () => {
  await notify.close();
  await api.close();
  receiver.close();
  await mail.close();
  await encrypted.close();
});

const hurried = async <T>(wait: () => Promise<T>): Promise<T> => {
  const hurry = setInterval(() => void api.database.$client.query(`update channel_deliveries set due_at = now() where state = 'due'`), 50);
  return wait().finally(() => clearInterval(hurry));
};
const toldOf = (id: string, event: string) =>
  receiver.requests.filter(({ body }) => body.includes(id) && body.includes(`"quarterdeck.${event}"`));

test('a webhook is signed so that its library verifies it, has one id for all tries, and is told of the decision', async () => {
  receiver.state.failures = 2;
  const { id } = await askFor(api.database, callToApprove());
  await hurried(() => pollUntil(() => toldOf(id, 'approval').length === 3 || undefined, 'three tries'));
  const tries = toldOf(id, 'approval');
  expect(new Set(tries.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  for (const { headers, body } of tries) {
    const { data } = new Webhook(secret).verify(body, headers) as { data: ChannelMessage };
    expect(data.approval).toMatchObject({ id, state: 'pending' });
    expect(() => new Webhook(secret).verify(body.replace('pending', 'approved'), headers)).toThrow();
  }
  const shown = await api.request('GET', `/default/default/approvals/${id}`);
  await api.request('POST', `/default/default/approvals/${id}/approve`, { token: reviewerToken, body: { digest: shown.body.digest } });
  const [decided] = await hurried(() =>
    pollUntil(() => (toldOf(id, 'decided').length > 0 ? toldOf(id, 'decided') : undefined), 'the decision'),
  );
  expect(decided?.body).toContain('approved by reviewer');
});

test('a mail has the link and no header of anybody else’s; what is decided answers it', async () => {
  const reason = 'looks fine\r\nBcc: everybody@example.com';
  const { id } = await askFor(api.database, { ...callToApprove(), need: { rules: [byReviewers], expiresInSeconds: 900, reason } });
  const asked = await pollUntil(() => mail.mails.find((text) => text.includes(`Message-ID: <${id}@`)), 'the mail');
  const text = asked.replaceAll('=\r\n', ''); // lines that are long are broken on their way
  expect(text).toContain(`/approvals/default/default/${id}`);
  expect(text, 'no line of the mail is of somebody else’s making').not.toMatch(/^bcc/im);
  expect(asked.slice(0, asked.indexOf('\r\n\r\n'))).not.toMatch(/bcc/i);
  expect(asked).toContain('Auto-Submitted: auto-generated');
  const page = await fetch(`${api.url}/approvals/default/default/${id}`);
  const html = await page.text();
  expect(page.status).toBe(200);
  expect(html).toContain(`quarterdeck approvals show ${id}`);
  expect(html, 'whoever opens a link is nobody yet').not.toContain('looks fine');

  const shown = await api.request('GET', `/default/default/approvals/${id}`);
  await api.request('POST', `/default/default/approvals/${id}/deny`, { token: reviewerToken, body: { digest: shown.body.digest } });
  const answered = await pollUntil(() => mail.mails.find((text) => text.includes(`In-Reply-To: <${id}@`)), 'the mail about the decision');
  expect(answered).toContain('denied by reviewer');
});

test('what a channel may not do is said at the channel, and no message goes there', async () => {
  const names = ['doubtful', 'plain', 'inside', 'unset', 'gone'];
  await addDeliveries(
    api.database,
    names.map((name) => ({
      ...place,
      channel: name,
      event: 'page' as const,
      subject: 'ReconcileTarget/a',
      text: 'An undo failed\nLook at it.',
    })),
  );
  const rows = await pollUntil(async () => {
    const { rows: found } = await api.database.$client.query<{ channel: string; state: string; last_error: string }>(
      `select channel, state, last_error from channel_deliveries where subject = 'ReconcileTarget/a' and last_error <> ''`,
    );
    return found.length === names.length ? found : undefined;
  }, 'five failures');
  const errors = Object.fromEntries(rows.map(({ channel: name, state, last_error }) => [name, `${state}: ${last_error}`]));
  expect(errors.doubtful).toMatch(/^due: .*certificate/i);
  expect(errors.plain).toMatch(/^due: .*STARTTLS/i);
  expect(errors.inside).toMatch(/^due: .*outside this network/);
  expect(errors.unset).toMatch(/^due: .*NO_SUCH/);
  expect(errors.gone).toMatch(/^dead: .*declared no more/);
  expect(mail.mails.some((text) => text.includes('An undo failed'))).toBe(false);
});

test('in production no channel leads to this machine, whatever its name', async () => {
  const network = createChannelNetwork({
    allowsLoopback: false,
    resolve: (_host, _options, answer) => answer(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  for (const url of [receiver.url, 'https://127.0.0.1/', 'https://hooks.example/', 'https://user:word@hooks.example/'])
    await expect(network.fetch(url, { method: 'POST' }), url).rejects.toThrow();
  await expect(network.resolve('mail.example')).rejects.toThrow('not on the public internet');
  expect(() => network.checkHost('localhost')).toThrow('outside this network');
  await network.close();
});
