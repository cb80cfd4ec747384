import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { endAgent } from '../../store/agents.ts';
import { markRunRevoked, moveRun } from '../../store/runs.ts';
import { startCountingServer } from '../support/counting-server.ts';
import { onTime } from '../support/on-time.ts';
import { pollUntil } from '../support/poll-until.ts';
import { beginStream, chunkEvent, type RawProvider, startRawProvider } from '../support/raw-provider.ts';
import { modernRequest } from '../support/running-edge.ts';
import { type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';

let gateway: RunningGateway;
let server: Awaited<ReturnType<typeof startCountingServer>>;
let provider: RawProvider;
const withinMs = 2000;

beforeAll(async () => {
  [server, provider] = await Promise.all([startCountingServer(), startRawProvider()]);
  // streams are not asked about again while a test runs: what ends them is the end of their run
  gateway = await startRunningGateway({ streamCheckMs: 2 ** 30 });
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'echo' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'echo' }, spec: { servers: [{ name: 'echo' }], naming: 'plain' } },
    { kind: 'Provider', metadata: { name: 'raw' }, spec: { kind: 'openai-compatible', baseUrl: provider.url, timeoutSeconds: 60 } },
    { kind: 'Model', metadata: { name: 'slow' }, spec: { routes: [{ provider: 'raw', model: 'slow' }] } },
    {
      kind: 'AccessBinding',
      metadata: { name: 'readers' },
      spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['echo'], models: ['slow'] },
    },
  );
  await gateway.ready('echo');
});
afterAll(async () => {
  await gateway.close();
  await server.close();
  await provider.close();
});

const endpoint = () => `${gateway.publicUrl}/mcp/default/default/echo`;
const send = (token: string, method: string, params: object, signal?: AbortSignal) =>
  fetch(endpoint(), {
    ...modernRequest(method, params as never, { headers: { authorization: `Bearer ${token}` } }),
    ...(signal ? { signal } : {}),
  });
const look = (token: string) => send(token, 'tools/call', { name: 'look', arguments: {} });
const begin = async () => {
  const agent = await gateway.addAgent();
  const token = await gateway.mint(agent.id, endpoint());
  const first = await look(token);
  expect([first.status, await first.text()]).toEqual([200, expect.stringContaining('of look')]);
  return { ...agent, token };
};
/** @returns milliseconds until the token is refused */
const refusedAfter = async (token: string): Promise<number> => {
  const began = Date.now();
  // a call that is being answered at that moment is cut off
  const isRefused = () =>
    look(token).then(
      ({ status }) => status === 401 || undefined,
      () => undefined,
    );
  await pollUntil(isRefused, 'the token to be refused');
  return Date.now() - began;
};

/** As a broken network or a replica of the database leaves it: nothing is told, all is only looked at. */
const withoutTelling = async (work: () => Promise<void>): Promise<void> => {
  const client = gateway.database.$client;
  await client.query('alter table runs disable trigger runs_identity_ended; alter table agents disable trigger agents_identity_ended');
  try {
    await work();
  } finally {
    await client.query('alter table runs enable trigger runs_identity_ended; alter table agents enable trigger agents_identity_ended');
  }
};

describe('a token that has not expired', () => {
  const ends: [string, (agent: Awaited<ReturnType<typeof begin>>) => Promise<unknown>][] = [
    ['whose run is cancelled', ({ key }) => moveRun(gateway.database, key, ['running'], 'cancelling')],
    ['whose run has ended', ({ key }) => moveRun(gateway.database, key, ['running'], 'succeeded')],
    ['whose run was revoked', ({ key }) => markRunRevoked(gateway.database, key)],
    ['whose agent has ended', ({ id }) => endAgent(gateway.database, id, { state: 'done', outputDigest: 'd' })],
  ];
  test.each(ends)('%s is refused at once, and one of another run is not', async (_name, end) => {
    // told, not found out: what was believed of it would have been for two seconds
    await onTime(1000, async () => {
      const [ended, other] = [await begin(), await begin()];
      await end(ended);
      const tookMs = await refusedAfter(ended.token);
      const answer = await look(ended.token);
      expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
      expect(await answer.text()).toContain('The agent run of this token has ended.');
      expect((await look(other.token)).status).toBe(200);
      return tookMs;
    });
  });

  test('of an agent whose task is done is refused, while its siblings in the run go on', async () => {
    const done = await begin();
    const sibling = await gateway.addAgent({ runId: done.runId, ordinal: 1 });
    const siblingToken = await gateway.mint(sibling.id, endpoint());
    expect((await look(siblingToken)).status).toBe(200);
    await endAgent(gateway.database, done.id, { state: 'done', outputDigest: 'd' });
    await refusedAfter(done.token);
    expect((await look(siblingToken)).status).toBe(200);
  });

  test('is refused within two seconds also when the database tells nobody', () =>
    withoutTelling(() =>
      onTime(withinMs, async () => {
        const agent = await begin();
        await moveRun(gateway.database, agent.key, ['running'], 'cancelling');
        return refusedAfter(agent.token);
      }),
    ));

  test('is refused after the connection that tells was lost and found again', async () => {
    // of this database alone: other files have theirs on the same server
    const listeners = `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query like 'listen quarterdeck_identity_ended%'`;
    await onTime(withinMs, async () => {
      const agent = await begin();
      await pollUntil(
        async () => ((await gateway.database.$client.query(listeners)).rowCount ?? 0) > 0 || undefined,
        'a connection that tells',
      );
      await markRunRevoked(gateway.database, agent.key);
      return refusedAfter(agent.token);
    });
  });
});

describe('what an agent is being answered', () => {
  /** Opens a stream, a call that hangs at its server, and a model that goes on talking. */
  const openAll = async () => {
    const agent = await begin();
    server.state.before = (tool) => (tool === 'act' ? new Promise(() => undefined) : Promise.resolve());
    provider.handle = (response) => void beginStream(response).write(chunkEvent({ content: 'still ' }));
    const listening = await send(agent.token, 'subscriptions/listen', { notifications: { toolsListChanged: true } });
    expect(listening.status).toBe(200);
    const calls = server.countOf('act');
    const calling = send(agent.token, 'tools/call', { name: 'act', arguments: {} }).then((answer) => answer.text());
    await pollUntil(() => server.countOf('act') > calls || undefined, 'the call to reach its server');
    const talking = await fetch(`${gateway.publicUrl}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await gateway.mint(agent.id, `${gateway.publicUrl}/v1`)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'slow', stream: true, messages: [{ role: 'user', content: 'talk' }] }),
    });
    expect(talking.status).toBe(200);
    const open = { listening: listening.text(), calling, talking: talking.text() };
    for (const answer of Object.values(open)) answer.catch(() => undefined);
    return { agent, ...open, call: server.calls.findLast(({ tool }) => tool === 'act') };
  };
  /** @returns milliseconds until all was cut */
  const expectCut = async ({ listening, calling, talking, call }: Awaited<ReturnType<typeof openAll>>): Promise<number> => {
    const began = Date.now();
    // the stream ends with its answer; the others break off, and nobody goes on working for them
    expect(await listening).toContain('"result"');
    await expect(calling).rejects.toThrow();
    await expect(talking).rejects.toThrow();
    await pollUntil(() => call?.aborted || undefined, 'the server to hear that nobody waits');
    return Date.now() - began;
  };

  test('ends with its run: a stream, a call and a model, and not those of another run', async () => {
    const other = await openAll();
    await onTime(withinMs, async () => {
      const ended = await openAll();
      await markRunRevoked(gateway.database, ended.agent.key);
      return expectCut(ended);
    });
    const others = Promise.race([other.listening, other.calling, other.talking]);
    await expect(Promise.race([others, new Promise((resolve) => setTimeout(resolve, 1500, 'open'))])).resolves.toBe('open');
    await endAgent(gateway.database, other.agent.id, { state: 'cancelled' });
    await expectCut(other);
  });

  test('ends within two seconds also when the database tells nobody', () =>
    withoutTelling(() =>
      onTime(withinMs, async () => {
        const open = await openAll();
        await moveRun(gateway.database, open.agent.key, ['running'], 'cancelling');
        return expectCut(open);
      }),
    ));
});

test('a privileged actor nested in a token opens nothing: the outermost one is asked about, and is on record', async () => {
  await gateway.apply(
    { kind: 'Toolset', metadata: { name: 'vault' }, spec: { servers: [{ name: 'echo' }], naming: 'plain' } },
    { kind: 'AccessBinding', metadata: { name: 'keepers' }, spec: { subjects: [{ agentRole: 'keeper' }], toolsets: ['vault'] } },
  );
  await gateway.ready('vault');
  const audience = `${gateway.publicUrl}/mcp/default/default/vault`;
  const [reader, keeper] = [await gateway.addAgent(), await gateway.addAgent({ role: 'keeper' })];
  const ask = async (token: string) => {
    const request = modernRequest('tools/call', { name: 'look', arguments: {} }, { headers: { authorization: `Bearer ${token}` } });
    return (await fetch(audience, request)).json() as Promise<{ error?: { code: number }; result?: object }>;
  };
  expect((await ask(await gateway.mint(keeper.id, audience))).result).toBeDefined();
  const calls = server.countOf('look');
  const nested = await gateway.mint(reader.id, audience, { act: { sub: reader.id, act: { sub: keeper.id } } });
  expect((await ask(nested)).error?.code).toBe(-32602);
  expect(server.countOf('look')).toBe(calls);
  await gateway.auditRow(({ agent, kind, toolset }) => kind === 'refusal' && agent === reader.id && toolset !== 'echo');
  expect((await gateway.audit()).filter(({ agent, kind }) => kind === 'refusal' && agent === keeper.id)).toEqual([]);
});

test('a chain of actors that is longer than any of ours, or no chain at all, is no token: it is refused, and counted on record', async () => {
  const { id } = await gateway.addAgent();
  const chainOf = (length: number): object => (length === 1 ? { sub: id } : { sub: id, act: chainOf(length - 1) });
  const calls = server.countOf('look');
  expect((await look(await gateway.mint(id, endpoint(), { act: chainOf(3) }))).status).toBe(200);
  const spoiled = [
    chainOf(4),
    chainOf(11),
    { sub: id, act: 'somebody' },
    { sub: id, act: {} },
    { sub: id, act: null },
    { act: { sub: id } },
    'x',
  ];
  for (const act of spoiled) expect((await look(await gateway.mint(id, endpoint(), { act }))).status, JSON.stringify(act)).toBe(401);
  expect(server.countOf('look')).toBe(calls + 1);
  await gateway.restart();
  const rows = (await gateway.audit({ action: 'authenticate' })).filter(({ errorCode }) => errorCode === 'token_refused');
  const flagged = rows.filter(({ facts }) => facts.flag === 'actor-chain').reduce((sum, { facts }) => sum + Number(facts.count), 0);
  expect(flagged).toBe(spoiled.length);
});

test('who handed a task on to whom is on record as a whole, of calls, lists and refusals; it decides nothing', async () => {
  server.state.before = async () => undefined;
  const { id } = await gateway.addAgent();
  const [second, first] = ['default/default/survey/run_2/plan/planner/0', 'default/default/survey/run_1/begin/keeper/0'];
  const act = { sub: id, act: { sub: second, act: { sub: first } } };
  const token = await gateway.mint(id, endpoint(), { act });
  expect((await look(token)).status).toBe(200);
  expect((await send(token, 'tools/list', {})).status).toBe(200);
  expect(await (await send(token, 'tools/call', { name: 'nothing', arguments: {} })).text()).toContain('-32602');
  expect((await send(token, 'tools/call', { name: 'act', arguments: {} })).status).toBe(200);
  const rows = await pollUntil(async () => {
    const found = (await gateway.audit()).filter(({ agent }) => agent === id);
    return ['callTool', 'listTools'].every((action) => found.some((row) => row.action === action)) &&
      ['call', 'refusal', 'intent', 'outcome'].every((kind) => found.some((row) => row.kind === kind))
      ? found
      : undefined;
  }, 'the rows');
  for (const row of rows) expect(row.facts.actors, `${row.kind} ${row.action}`).toEqual([id, second, first]);
  // nobody acted before an agent whose token says nothing of it
  const alone = await begin();
  const row = await gateway.auditRow(({ agent }) => agent === alone.id);
  expect(row.facts).not.toHaveProperty('actors');
});
