import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import {
  ElicitRequestSchema,
  LoggingMessageNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { sql } from 'drizzle-orm';
import { describe, expect, test } from 'vitest';
import { callOf, getFrom, postTo, request, SseReader, startLegacyClient } from '../support/legacy-client.ts';
import { pollUntil } from '../support/poll-until.ts';
import { type LegacyReplica, startFakeSurface, useLegacyReplicas } from '../support/running-legacy.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { url, database } = useTestDatabase();
const start = useLegacyReplicas(url);

/** Opens the stream of an old client. @returns where it sends its messages, at any replica */
const open = async (replica: LegacyReplica, headers: Record<string, string> = {}) => {
  const reader = new SseReader(await getFrom(replica, headers));
  const endpoint = await reader.next();
  return {
    reader,
    endpoint,
    place: endpoint?.id ?? '',
    at: (other: LegacyReplica) => ({ url: new URL(endpoint?.data ?? '', other.url).href }),
  };
};
const hello = (version = '2024-11-05') => request(0, 'initialize', { protocolVersion: version, capabilities: { sampling: {} } });

describe('an old client', () => {
  test('is told first where to send, and answered on its stream', async () => {
    const replica = await start();
    const { reader, endpoint, at } = await open(replica);
    expect(endpoint).toEqual({
      event: 'endpoint',
      id: expect.stringMatching(/:0$/),
      data: expect.stringMatching(/^\/mcp\/everything\?session=[\w-]+$/),
    });
    const accepted = await postTo(at(replica), hello());
    expect([accepted.status, await accepted.text()]).toEqual([202, '']);
    expect((await reader.message())?.message).toMatchObject({ id: 0, result: { protocolVersion: '2024-11-05' } });
    await postTo(at(replica), { jsonrpc: '2.0', method: 'notifications/initialized' });
    await postTo(at(replica), callOf(1, 'echo', { a: 1 }));
    expect((await reader.message())?.message).toMatchObject({ id: 1, result: { content: [{ text: '{"a":1}' }] } });
    expect(replica.fake.requests[0]?.client).toMatchObject({ protocolVersion: '2024-11-05', capabilities: { sampling: {} } });
    await reader.cancel();
  });

  test('may send in batches', async () => {
    const replica = await start();
    const { reader, at } = await open(replica);
    await postTo(at(replica), hello());
    await reader.message();
    expect((await postTo(at(replica), [callOf(1, 'echo'), callOf(2, 'echo')])).status).toBe(202);
    const ids = [await reader.message(), await reader.message()].map((told) => told?.message.id);
    expect(ids.toSorted()).toEqual([1, 2]);
    expect((await postTo(at(replica), [hello(), callOf(3, 'echo')])).status).toBe(400);
    await reader.cancel();
  });

  test('may send to another replica than the one that holds its stream', async () => {
    const fake = startFakeSurface({
      loud: async ({ notify }) => {
        for (const data of ['one', 'two', 'three']) await notify({ method: 'notifications/message', params: { level: 'info', data } });
        return { kind: 'result', result: { content: [] } };
      },
    });
    const first = await start();
    const second = await start({ fake });
    const { reader, at } = await open(first);
    await postTo(at(second), hello());
    await reader.message();
    await postTo(at(second), callOf(1, 'loud'));
    const said = [];
    for (let count = 0; count < 4; count += 1) said.push((await reader.message())?.message);
    expect(said).toMatchObject([{ params: { data: 'one' } }, { params: { data: 'two' } }, { params: { data: 'three' } }, { id: 1 }]);
    await reader.cancel();
  });

  test('that lost its stream goes on where it was, at another replica', async () => {
    const open_ = Promise.withResolvers<void>();
    const fake = startFakeSurface({
      wait: async () => {
        await open_.promise;
        return { kind: 'result', result: { content: [] } };
      },
    });
    const first = await start({ fake });
    const second = await start();
    const { reader, at, place } = await open(first);
    await postTo(at(first), hello());
    await reader.message();
    await postTo(at(first), callOf(1, 'wait'));
    await pollUntil(() => first.fake.requests.length === 1, 'the request');
    await reader.cancel();
    open_.resolve();
    const again = await open(second, { 'last-event-id': place, 'mcp-protocol-version': '2024-11-05' });
    expect(again.endpoint?.event).toBe('endpoint');
    expect((await again.reader.message())?.message).toMatchObject({ id: 0 });
    expect((await again.reader.message())?.message).toMatchObject({ id: 1 });
    await postTo(again.at(second), callOf(2, 'echo'));
    expect((await again.reader.message())?.message).toMatchObject({ id: 2 });
    expect(second.fake.requests[0]?.client).toMatchObject({ capabilities: { sampling: {} } });
    expect((await getFrom(second, { 'last-event-id': place, authorization: 'Bearer mallory' })).status).toBe(400);
    await again.reader.cancel();
  });

  test('is the only one who may send to its stream, and it only there', async () => {
    const replica = await start();
    const { reader, endpoint, at } = await open(replica);
    expect((await postTo(at(replica), callOf(1, 'echo'), { authorization: 'Bearer mallory' })).status).toBe(404);
    const text = new URLSearchParams(endpoint?.data?.split('?')[1]).get('session') ?? '';
    expect((await postTo(replica, callOf(1, 'echo'), { 'mcp-session-id': text })).status).toBe(404);
    const { session } = await startLegacyClient(replica);
    expect((await postTo({ url: `${replica.url}?session=${session}` }, callOf(1, 'echo'))).status).toBe(404);
    expect((await postTo({ url: `${replica.url}?session=x` }, callOf(1, 'echo'))).status).toBe(404);
    await reader.cancel();
  });

  test('leaves nothing behind when it does not come back', async () => {
    let now = Date.now();
    const replica = await start({ now: () => now, limits: { sweepMs: 30 } });
    const { reader, at, place } = await open(replica);
    await postTo(at(replica), hello());
    await reader.message();
    await postTo(at(replica), callOf(1, 'echo'));
    const id = replica.fake.requests[0]?.session?.id ?? '';
    now += 300_000;
    await pollUntil(async () => (await postTo(at(replica), callOf(2, 'echo'))).status === 202, 'the session of an open stream');
    await reader.cancel();
    await pollUntil(async () => {
      const { rows } = await database().execute(sql`select from mcp_streams where owner = ${id} and detached_at is not null`);
      return rows.length === 1;
    }, 'the end of the connection to be noted');
    now += 61_000;
    await pollUntil(() => replica.fake.ended.includes(id), 'the sweep');
    await pollUntil(
      async () => (await database().$count(sql`mcp_stream_events where stream = ${place.split(':')[0]}`)) === 0,
      'its events',
    );
  });

  test('is not a page that somebody looks at', async () => {
    const replica = await start();
    expect((await getFrom(replica, { accept: 'text/html, */*' })).status).toBe(406);
  });
});

describe('the SDK of version 1 over HTTP+SSE', () => {
  const connect = async (replica: LegacyReplica, capabilities = {}) => {
    const client = new Client({ name: 'old', version: '1' }, { capabilities });
    await client.connect(new SSEClientTransport(new URL(replica.url)));
    return client;
  };

  test('lists, calls, is asked, and hears of messages and changes', async () => {
    const fake = startFakeSurface({
      asker: async ({ ask, notify }) => {
        await notify({ method: 'notifications/message', params: { level: 'info', data: 'asking' } });
        const reply = await ask?.(
          { method: 'elicitation/create', params: { message: 'Which?', requestedSchema: { type: 'object', properties: {} } } },
          new AbortController().signal,
        );
        return { kind: 'result', result: { content: [{ type: 'text', text: JSON.stringify(reply) }] } };
      },
    });
    const replica = await start({ fake });
    const client = await connect(replica, { elicitation: {} });
    const heard: unknown[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void heard.push(params.data));
    client.setNotificationHandler(ToolListChangedNotificationSchema, ({ method }) => void heard.push(method));
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { colour: 'blue' } }));
    expect((await client.listTools()).tools).toHaveLength(1);
    const { content } = await client.callTool({ name: 'asker' });
    expect(JSON.parse((content as { text: string }[])[0]?.text ?? '')).toEqual({
      kind: 'result',
      result: { action: 'accept', content: { colour: 'blue' } },
    });
    fake.changeList('tools');
    await pollUntil(() => heard.length === 2, 'both notifications');
    expect(heard).toEqual(['asking', 'notifications/tools/list_changed']);
    await client.close();
  });

  test('comes back after its stream was cut, though it does not say where it was', async () => {
    const replica = await start();
    const client = await connect(replica);
    await client.callTool({ name: 'echo' });
    replica.cutClients();
    const { content } = await pollUntil(
      () => client.callTool({ name: 'echo', arguments: { after: 1 } }, undefined, { timeout: 300 }).catch(() => undefined),
      'the call',
    );
    expect(content).toEqual([{ type: 'text', text: '{"after":1}' }]);
    await client.close();
  });
});
