import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

type Block = {
  type: string;
  text?: { type: string; text: string };
  elements?: { type: string; text?: { text: string } | string; action_id?: string; value?: string }[];
};
export type SlackMessage = { ts: string; channel: string; text: string; blocks: Block[] };

const readBody = async (request: IncomingMessage): Promise<string> => {
  let text = '';
  for await (const part of request) text += part;
  return text;
};

/** The limits of Block Kit that a message of ours could break; what Slack would answer to one that does. */
const faultOf = (blocks: Block[]): string | undefined => {
  if (blocks.length === 0 || blocks.length > 50) return 'invalid_blocks';
  for (const { type, text, elements = [] } of blocks) {
    if (type === 'header' && (text?.type !== 'plain_text' || text.text.length === 0 || text.text.length > 150)) return 'invalid_blocks';
    if (type === 'section' && (!text || text.text.length === 0 || text.text.length > 3_000)) return 'invalid_blocks';
    if (type === 'actions' && (elements.length === 0 || elements.length > 25)) return 'invalid_blocks';
    for (const { action_id: action, value } of type === 'actions' ? elements : [])
      if (!action || action.length > 255 || !value || value.length > 2_000) return 'invalid_blocks';
    if (!['header', 'section', 'context', 'actions'].includes(type)) return 'invalid_blocks';
  }
  return undefined;
};

/**
 * A server that speaks the part of Slack's Web API that channels use, and is as strict about it: bearer token, form bodies, the limits of
 * blocks, messages that can be changed. `press` sends what Slack sends when somebody presses a button, signed with the signing secret.
 */
export const startSlackServer = async ({ token, signingSecret }: { token: string; signingSecret: string }) => {
  const messages = new Map<string, SlackMessage>();
  const calls: string[] = [];
  const toldAlone: string[] = [];
  const state = { failures: 0, limited: 0 };
  let number = 0;

  const server = createServer(async (request, response) => {
    const body = await readBody(request);
    const answer = (content: object, status = 200, headers: Record<string, string> = {}) =>
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(content));
    if (request.url === '/response') {
      toldAlone.push((JSON.parse(body) as { text: string }).text);
      return answer({ ok: true });
    }
    const method = (request.url ?? '').replace('/api/', '');
    calls.push(method);
    if (state.failures > 0) {
      state.failures -= 1;
      return answer({}, 503);
    }
    if (state.limited > 0) {
      state.limited -= 1;
      return answer({ ok: false, error: 'ratelimited' }, 429, { 'retry-after': '1' });
    }
    if (request.headers.authorization !== `Bearer ${token}`) return answer({ ok: false, error: 'invalid_auth' });
    const form = new URLSearchParams(body);
    const blocks = JSON.parse(form.get('blocks') ?? '[]') as Block[];
    const fault = faultOf(blocks);
    if (fault) return answer({ ok: false, error: fault });
    const content = { channel: form.get('channel') ?? '', text: form.get('text') ?? '', blocks };
    if (method === 'chat.postMessage') {
      number += 1;
      const ts = `1700000000.${String(number).padStart(6, '0')}`;
      messages.set(ts, { ts, ...content, channel: 'C0123' });
      return answer({ ok: true, ts, channel: 'C0123' });
    }
    const ts = form.get('ts') ?? '';
    if (method !== 'chat.update') return answer({ ok: false, error: 'unknown_method' });
    if (!messages.has(ts) || content.channel !== 'C0123') return answer({ ok: false, error: 'message_not_found' });
    messages.set(ts, { ts, ...content });
    return answer({ ok: true, ts, channel: 'C0123' });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const sign = (body: string, { secret = signingSecret, at }: { secret?: string; at: Date }) => {
    const timestamp = String(Math.floor(at.getTime() / 1000));
    return {
      'content-type': 'application/x-www-form-urlencoded',
      'x-slack-request-timestamp': timestamp,
      'x-slack-signature': `v0=${createHmac('sha256', secret).update(`v0:${timestamp}:${body}`).digest('hex')}`,
    };
  };
  const buttonOf = (message: SlackMessage, action: string) =>
    message.blocks.flatMap(({ elements = [] }) => elements).find(({ action_id: id }) => id === action);

  return {
    url,
    apiUrl: `${url}/api`,
    messages,
    calls,
    toldAlone,
    state,
    buttonOf,
    sign,
    /** @param options.value - in place of what the button carries */
    press: async (
      endpoint: string,
      message: SlackMessage,
      action: string,
      { user, at, secret, value }: { user: string; at: Date; secret?: string; value?: string },
    ): Promise<{ status: number; ms: number }> => {
      const payload = {
        type: 'block_actions',
        user: { id: user },
        actions: [{ action_id: action, value: value ?? buttonOf(message, action)?.value }],
        response_url: `${url}/response`,
      };
      const body = new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
      const began = performance.now();
      const answer = await fetch(endpoint, { method: 'POST', headers: sign(body, { at, ...(secret ? { secret } : {}) }), body });
      await answer.body?.cancel();
      return { status: answer.status, ms: performance.now() - began };
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
};
