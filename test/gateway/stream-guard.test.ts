import { afterEach, describe, expect, test } from 'vitest';
import type { Principal } from '../../gateway/principal.ts';
import { PlatformError } from '../../schema/errors.ts';
import { endAgent } from '../../store/agents.ts';
import { replacePersonToken } from '../../store/people.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { callOf, getFrom, SseReader, startLegacyClient } from '../support/legacy-client.ts';
import { pollUntil } from '../support/poll-until.ts';
import { modernRequest, person, startRunningEdge } from '../support/running-edge.ts';
import { guestToken, startRunningGateway } from '../support/running-gateway.ts';
import { startFakeSurface, useLegacyReplicas } from '../support/running-legacy.ts';
import { useTestDatabase } from '../support/store-database.ts';

const { url } = useTestDatabase();
const start = useLegacyReplicas(url);
const listenParams = { notifications: { toolsListChanged: true } };

describe('a listen stream', () => {
  let authenticated: () => Principal = () => person;
  const listening = async () => {
    const edge = await startRunningEdge({
      authenticated: () => authenticated(),
      handle: async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        return { kind: 'result', result: { isOver: true } };
      },
    });
    closing.push(edge.close);
    const answer = await edge.post('subscriptions/listen', listenParams);
    await pollUntil(() => edge.streams.size === 1 || undefined, 'the stream to be watched');
    return { edge, ended: answer.text() };
  };
  const closing: (() => Promise<void>)[] = [];
  afterEach(async () => {
    authenticated = () => person;
    for (const close of closing.splice(0)) await close();
  });

  test('ends with its answer when its token is refused, and not while nobody can say', async () => {
    const { edge, ended } = await listening();
    await edge.streams.check();
    authenticated = () => {
      throw new PlatformError('store_unavailable', 'away');
    };
    await edge.streams.check();
    expect(edge.streams.size).toBe(1);
    authenticated = () => {
      throw new PlatformError('token_refused', 'taken back');
    };
    await edge.streams.check();
    expect(edge.streams.size).toBe(0);
    expect(await ended).toContain('"isOver":true');
  });

  test('goes on while its caller has the same rights, and ends when they are others', async () => {
    const { edge, ended } = await listening();
    authenticated = () => ({ ...person }) as Principal;
    await edge.streams.check();
    expect(edge.streams.size).toBe(1);
    authenticated = () => ({ ...person, groups: ['fewer'] }) as Principal;
    await edge.streams.check();
    expect(await ended).toContain('"isOver":true');
  });

  test('that has ended is not asked about any more, and calls never are', async () => {
    const edge = await startRunningEdge({ handle: async () => ({ kind: 'result', result: {} }) });
    closing.push(edge.close);
    await (await edge.post('tools/call', { name: 'echo' })).text();
    expect(edge.streams.size).toBe(0);
    await (await edge.post('subscriptions/listen', listenParams)).text();
    await pollUntil(() => edge.streams.size === 0 || undefined, 'the stream to be forgotten');
  });
});

describe('a stream that was opened with GET', () => {
  test('ends cleanly for whoever is refused by now, whether it stands or goes on with a request, and for nobody else', async () => {
    const fake = startFakeSurface({
      slow: ({ notify }) => notify({ method: 'notifications/progress' }).then(() => new Promise(() => undefined)),
    });
    const replica = await start({ fake, limits: { drainMs: 0 } });
    const [ada, bob] = [await startLegacyClient(replica, { as: 'ada' }), await startLegacyClient(replica, { as: 'bob' })];
    const standing = { ada: new SseReader(await ada.get()), bob: new SseReader(await bob.get()) };
    const oldest = new SseReader(await getFrom(replica, { authorization: 'Bearer ada', 'mcp-protocol-version': '2024-11-05' }));
    const called = new SseReader(await ada.post(callOf(1, 'slow')));
    const place = await called.next();
    const resumed = new SseReader(await ada.get(place?.id));
    expect((await resumed.next())?.id).toBe(place?.id);
    await pollUntil(() => replica.streams.size === 4 || undefined, 'the streams to be watched');

    replica.revoked.add('ada');
    await replica.streams.check();
    for (const reader of [standing.ada, oldest, resumed]) await reader.rest();
    expect(replica.streams.size).toBe(1);
    replica.fake.changeList('tools');
    expect((await standing.bob.message())?.message.method).toBe('notifications/tools/list_changed');
    await called.cancel();
    await standing.bob.cancel();
  });
});

test('streams of the whole gateway end with the token of a person and with the run of an agent', async () => {
  const server = await startCountingServer();
  const gateway = await startRunningGateway({ streamCheckMs: 50 });
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'echo' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'echo' }, spec: { servers: [{ name: 'echo' }], naming: 'plain' } },
  );
  await gateway.ready('echo');
  const endpoint = `${gateway.publicUrl}/mcp/echo`;
  const agent = await gateway.addAgent();
  const runToken = await gateway.mint(agent.id, `${gateway.publicUrl}/mcp/default/default/echo`);
  const listen = async (token: string): Promise<() => Promise<string>> => {
    const answer = await fetch(
      endpoint,
      modernRequest('subscriptions/listen', listenParams, { headers: { authorization: `Bearer ${token}` } }),
    );
    expect(answer.status).toBe(200);
    return () => answer.text();
  };
  const get = async (token: string): Promise<() => Promise<string>> => {
    const answer = await getFrom({ url: endpoint }, { authorization: `Bearer ${token}`, 'mcp-protocol-version': '2024-11-05' });
    expect(answer.status).toBe(200);
    return () => answer.text();
  };
  // all of them stand before anybody's rights end
  const begun = await Promise.all([listen(guestToken), get(guestToken), listen(runToken), get(runToken)]);
  const open = begun.map((read) => read());
  await expect(Promise.race([...open, new Promise((resolve) => setTimeout(resolve, 200, 'open'))])).resolves.toBe('open');
  await replacePersonToken(gateway.database, { org: 'default', personId: 'guest', stamp: 'guest-token', token: 'qd_another-token' });
  await endAgent(gateway.database, agent.id, { state: 'cancelled' });
  const [listened] = await Promise.all(open);
  expect(listened).toContain('"result"');
  await gateway.close();
  await server.close();
});
