import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startCountingServer } from '../support/counting-server.ts';
import { pollUntil } from '../support/poll-until.ts';
import { adminToken, guestToken, type RunningGateway, startRunningGateway } from '../support/running-gateway.ts';
import { connectLegacyPeer, connectModernPeer, type Peer } from '../support/sdk-peers.ts';

type Server = Awaited<ReturnType<typeof startCountingServer>>;
const names = ['one', 'two', 'three', 'four', 'five'];
let gateway: RunningGateway;
const servers = new Map<string, Server>();
const peers: Peer[] = [];

beforeAll(async () => {
  gateway = await startRunningGateway();
  for (const name of names) {
    const server = await startCountingServer();
    servers.set(name, server);
    await gateway.apply({ kind: 'McpServer', metadata: { name }, spec: { url: server.url, timeoutSeconds: 5 } });
  }
  const five = names.map((name) => ({ name, tools: ['look'] }));
  await gateway.apply(
    { kind: 'Toolset', metadata: { name: 'prefixed' }, spec: { servers: [{ name: 'one' }, { name: 'two' }], prefix: '{server}.' } },
    {
      kind: 'Toolset',
      metadata: { name: 'priority' },
      spec: { servers: [{ name: 'two' }, { name: 'one' }], naming: 'plain', conflicts: 'priority' },
    },
    {
      kind: 'Toolset',
      metadata: { name: 'manual' },
      spec: {
        servers: [
          { name: 'one', tools: ['look', 'act'] },
          {
            name: 'two',
            rename: { look: 'look_two' },
            tools: ['look', 'act'],
            describe: { look: 'Looks elsewhere' },
            fix: { look: { path: '/fixed' } },
          },
        ],
        naming: 'plain',
        conflicts: 'manual',
      },
    },
    { kind: 'Toolset', metadata: { name: 'open' }, spec: { servers: five } },
    { kind: 'Toolset', metadata: { name: 'closed' }, spec: { servers: five, whenServerFails: 'closed' } },
  );
  await gateway.ready('open');
  for (const name of ['prefixed', 'closed'])
    await pollUntil(async () => {
      const peer = await open(connectModernPeer, name);
      return (await peer.listTools()).length >= 5 || undefined;
    }, `all of ${name}`);
});
afterAll(async () => {
  for (const peer of peers) await peer.close().catch(() => undefined);
  await gateway.close();
  for (const server of servers.values()) await server.close();
});

const open = async (connect: typeof connectModernPeer, toolset: string, token = adminToken): Promise<Peer> => {
  const peer = await connect(`${gateway.publicUrl}/mcp/${toolset}`, token);
  peers.push(peer);
  return peer;
};
const lastCall = (name: string) => servers.get(name)?.calls.at(-1);

describe('the same tool on two servers', () => {
  test('has a prefix, and each name reaches its own server', async () => {
    const peer = await open(connectLegacyPeer, 'prefixed');
    expect(await peer.listTools()).toEqual(['one.act', 'one.fail', 'one.look', 'two.act', 'two.fail', 'two.look']);
    const before = servers.get('one')?.countOf('look');
    await peer.callTool('two.look', { value: 'x' });
    expect(lastCall('two')).toMatchObject({ tool: 'look', arguments: { value: 'x' } });
    expect(servers.get('one')?.countOf('look')).toBe(before);
  });

  test('is that of the server listed first where it has priority', async () => {
    const peer = await open(connectModernPeer, 'priority');
    expect(await peer.listTools()).toEqual(['act', 'fail', 'look']);
    const before = servers.get('one')?.calls.length;
    await peer.callTool('look', { value: 'priority' });
    expect(lastCall('two')).toMatchObject({ arguments: { value: 'priority' } });
    expect(servers.get('one')?.calls.length).toBe(before);
  });

  test('is told apart by hand: a new name, another description and a fixed argument reach the server as its own', async () => {
    const peer = await open(connectModernPeer, 'manual');
    // `act` clashes and nobody has said what it is to be called
    expect(await peer.listTools()).toEqual(['look', 'look_two']);
    await peer.callTool('look_two', { value: 'y', path: '/mine' });
    expect(lastCall('two')).toEqual({ tool: 'look', arguments: { value: 'y', path: '/fixed' }, aborted: false });
    await expect(peer.callTool('act')).rejects.toMatchObject({ code: -32602 });
  });
});

describe('one of five servers is down', () => {
  const warningsIn = async (): Promise<unknown> => {
    const response = await fetch(`${gateway.publicUrl}/mcp/open`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${adminToken}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/list',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'tools/list',
        params: {
          _meta: {
            'io.modelcontextprotocol/protocolVersion': '2026-07-28',
            'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' },
            'io.modelcontextprotocol/clientCapabilities': {},
          },
        },
      }),
    });
    const { result } = (await response.json()) as { result: { _meta?: Record<string, unknown> } };
    return result._meta?.['quarterdeck.dev/warnings'];
  };

  test('four are listed within the deadline and with a warning, clients are told, and told again when it is back', async () => {
    const [peer, closed] = [await open(connectLegacyPeer, 'open'), await open(connectModernPeer, 'closed')];
    expect(await peer.listTools()).toHaveLength(5);
    const third = servers.get('three');
    await third?.close();
    await pollUntil(async () => {
      await peer.callTool('three__look').catch(() => undefined);
      return (await peer.listTools()).length === 4 || undefined;
    }, 'the server to be given up');
    const began = performance.now();
    expect(await peer.listTools()).toEqual(['five__look', 'four__look', 'one__look', 'two__look']);
    expect(performance.now() - began).toBeLessThan(1000);
    expect(await warningsIn()).toEqual([expect.objectContaining({ code: 'server_unavailable', server: 'three' })]);
    await expect(closed.listTools()).rejects.toThrow(/shows all of itself or nothing/);
    await pollUntil(async () => peer.changedLists.includes('tools') || undefined, 'the client to be told');
    // the name is still known: who calls it hears why it fails
    await expect(peer.callTool('three__look')).rejects.toMatchObject({ code: -32010, data: { code: 'server_unavailable' } });

    peer.changedLists.length = 0;
    servers.set('three', await startCountingServer(third?.port));
    await pollUntil(async () => peer.changedLists.includes('tools') || undefined, 'the client to be told again');
    expect(await peer.listTools()).toHaveLength(5);
    expect(await warningsIn()).toBeUndefined();
    expect(await closed.listTools()).toHaveLength(5);
  });
});

test('two callers of one endpoint each see their own list, at the same moment', async () => {
  const [ofAdmin, ofGuest] = [await open(connectModernPeer, 'open'), await open(connectModernPeer, 'open', guestToken)];
  const lists = await Promise.all([ofAdmin, ofGuest, ofAdmin, ofGuest].map((peer) => peer.listTools()));
  expect(lists.map((list) => list.length)).toEqual([5, 0, 5, 0]);
});
