import { once } from 'node:events';
import { connect as connectSocket, createServer, type Socket } from 'node:net';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema, ElicitRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { sql } from 'drizzle-orm';
import { afterEach, describe, expect, test } from 'vitest';
import type { ClientRequest } from '../../gateway/mcp/client-request.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type LegacyReplica, startFakeSurface, startLegacyReplica } from '../support/running-legacy.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { url } = useTestDatabase();
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});
const start = async (options: Partial<Parameters<typeof startLegacyReplica>[0]> = {}): Promise<LegacyReplica> => {
  const replica = await startLegacyReplica({ databaseUrl: url(), ...options });
  closers.push(async () => {
    expect(replica.failures).toEqual([]);
    await replica.close();
  });
  return replica;
};

/** A load balancer: one address for several replicas, whose connections can be cut. */
const startBalancer = async (...targets: LegacyReplica[]) => {
  const sockets = new Set<Socket>();
  let at = 0;
  const server = createServer((client) => {
    const target = targets[at++ % targets.length];
    const upstream = connectSocket(Number(new URL(target?.url ?? '').port), '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as { port: number }).port}/mcp/everything`,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
};

const connect = async (address: string, capabilities = {}) => {
  const client = new Client({ name: 'sdk', version: '1' }, { capabilities });
  const transport = new StreamableHTTPClientTransport(new URL(address), {
    reconnectionOptions: { initialReconnectionDelay: 50, maxReconnectionDelay: 200, reconnectionDelayGrowFactor: 1.5, maxRetries: 5 },
  });
  await client.connect(transport);
  closers.push(() => client.close());
  return { client, transport };
};

describe('the SDK of version 1', () => {
  test('connects, lists, calls, is asked, hears of changes, and ends its session', async () => {
    const fake = startFakeSurface({
      asker: async ({ ask }) => {
        const reply = await ask?.(
          { method: 'elicitation/create', params: { message: 'Which?', requestedSchema: { type: 'object', properties: {} } } },
          new AbortController().signal,
        );
        return { kind: 'result', result: { content: [{ type: 'text', text: JSON.stringify(reply) }] } };
      },
    });
    const replica = await start({ fake });
    const { client, transport } = await connect(replica.url, { elicitation: {} });
    const heard: string[] = [];
    client.setNotificationHandler(ToolListChangedNotificationSchema, ({ method }) => void heard.push(method));
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { colour: 'blue' } }));
    expect(client.getInstructions()).toBe('be kind');
    expect((await client.listTools()).tools).toHaveLength(1);
    const { content } = await client.callTool({ name: 'asker' });
    expect(JSON.stringify(content)).toContain('blue');
    await pollUntil(() => fake.watchers.size === 1, 'the stream of the session');
    fake.changeList('tools');
    await pollUntil(() => heard.length === 1, 'the change');
    await transport.terminateSession();
    expect(fake.ended).toHaveLength(1);
  });

  test('hears progress, and cancels', async () => {
    const fake = startFakeSurface({
      slow: async ({ notify, params, signal }) => {
        const { progressToken } = params._meta as { progressToken: number };
        await notify({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        return { kind: 'error', error: { code: -32800, message: 'cancelled' } };
      },
    });
    const replica = await start({ fake });
    const { client } = await connect(replica.url);
    const giving = new AbortController();
    const heard: number[] = [];
    const call = client.callTool({ name: 'slow' }, undefined, {
      signal: giving.signal,
      onprogress: ({ progress }) => {
        heard.push(progress);
        giving.abort('enough');
      },
    });
    await expect(call).rejects.toThrow('enough');
    expect(heard).toEqual([1]);
    await pollUntil(() => fake.requests.at(-1)?.signal.aborted, 'the end of the request');
  });

  test('gets everything once through a balancer that cuts its connections', async () => {
    const last = 60;
    const handler = async ({ notify, params }: ClientRequest) => {
      const { progressToken } = params._meta as { progressToken: number };
      for (let progress = 1; progress <= last; progress += 1) {
        await notify({ method: 'notifications/progress', params: { progressToken, progress } });
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return { kind: 'result' as const, result: { content: [{ type: 'text', text: 'done' }] } };
    };
    const replicas = [
      await start({ fake: startFakeSurface({ long: handler }) }),
      await start({ fake: startFakeSurface({ long: handler }) }),
    ];
    const balancer = await startBalancer(...replicas);
    const { client } = await connect(balancer.url);
    const heard: number[] = [];
    const call = client.request({ method: 'tools/call', params: { name: 'long', arguments: {} } }, CallToolResultSchema, {
      onprogress: ({ progress }) => {
        heard.push(progress);
        if (progress % 20 === 10) balancer.cut();
      },
    });
    expect((await call).content).toEqual([{ type: 'text', text: 'done' }]);
    expect(heard).toEqual(Array.from({ length: last }, (_, index) => index + 1));
  });

  test('is told when the replica that ran its request is gone, and goes on with the session', async () => {
    const fake = startFakeSurface({
      stuck: async ({ notify, params }) => {
        const { progressToken } = params._meta as { progressToken: number };
        await notify({ method: 'notifications/progress', params: { progressToken, progress: 1 } });
        return new Promise(() => undefined);
      },
    });
    const first = await start({ fake });
    const second = await start({ limits: { lookMs: 50 } });
    let target = first;
    const targets = {
      get url() {
        return target.url;
      },
    } as LegacyReplica;
    const balancer = await startBalancer(targets);
    const { client } = await connect(balancer.url);
    const heard = Promise.withResolvers<void>();
    const call = client.callTool({ name: 'stuck' }, undefined, { onprogress: () => heard.resolve() });
    const failed = expect(call).rejects.toMatchObject({ code: -32010, data: { code: 'replica_lost' } });
    await heard.promise;
    // what is not on record when it is killed nobody can go on with
    const recorded = sql`select 1 from mcp_stream_events e join mcp_streams s on s.id = e.stream where s.gateway_instance = ${first.instance}`;
    await pollUntil(async () => (await first.database.execute(recorded)).rows[0], 'the event to be on record');
    target = second;
    await first.kill();
    balancer.cut();
    await failed;
    expect((await client.callTool({ name: 'echo' })).content).toHaveLength(1);
  });

  test('begins again with a token that it kept', async () => {
    const open = Promise.withResolvers<void>();
    const fake = startFakeSurface({
      kept: async ({ notify }) => {
        await notify({ method: 'notifications/message', params: { level: 'info', data: 'x' } });
        await open.promise;
        return { kind: 'result', result: { content: [{ type: 'text', text: 'kept' }] } };
      },
    });
    const first = await start({ fake });
    const second = await start();
    const { client, transport } = await connect(first.url);
    const token = Promise.withResolvers<string>();
    const ask = { method: 'tools/call' as const, params: { name: 'kept', arguments: {} } };
    client.request(ask, CallToolResultSchema, { onresumptiontoken: token.resolve }).catch(() => undefined);
    const resumptionToken = await token.promise;
    const { sessionId } = transport;
    await transport.close();
    open.resolve();
    const later = new Client({ name: 'sdk', version: '1' });
    const again = new StreamableHTTPClientTransport(new URL(second.url), { ...(sessionId ? { sessionId } : {}) });
    await later.connect(again);
    closers.push(() => later.close());
    const result = await later.request(ask, CallToolResultSchema, { resumptionToken });
    expect(result.content).toEqual([{ type: 'text', text: 'kept' }]);
  });
});
