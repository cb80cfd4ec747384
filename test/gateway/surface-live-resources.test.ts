import { expect, test } from 'vitest';
import { createLiveResources } from '../../gateway/surface/live-resources.ts';
import type { CallerOfServer, Connection } from '../../gateway/upstream/upstream.ts';
import type { McpServer, UpstreamPool } from '../../gateway/upstream/upstream-pool.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { parsed } from '../support/running-gateway.ts';
import { admin, guest, requestOf, stored } from '../support/surface-fixture.ts';

const serverOf = (spec: object): McpServer => {
  const [server] = stored(parsed({ kind: 'McpServer', metadata: { name: 'files' }, spec }));
  return server as McpServer;
};

/** A modern server that lists for each caller what is theirs. */
const poolOf = (asked: string[]) =>
  ({
    factsOf: () => ({ era: 'modern', capabilities: { resources: {} } }),
    connect: async (_server: McpServer, { principal }: CallerOfServer) =>
      ({
        capabilities: { resources: {} },
        isolation: 0,
        request: async () => {
          asked.push(principal);
          return { kind: 'result', result: { resources: [{ uri: `note://${principal}`, name: 'own' }], cacheScope: 'public' } };
        },
      }) as unknown as Connection,
  }) as unknown as UpstreamPool;

const listsOf = async (server: McpServer) => {
  const asked: string[] = [];
  const live = createLiveResources({
    context: { now: () => 0, logger: createLogger({ name: 'test', level: 'silent' }) },
    pool: poolOf(asked),
  });
  const uris: string[] = [];
  for (const principal of [admin, guest, admin]) {
    const answer = await live.of(server, requestOf('resources/list', {}, { principal }));
    if (answer.ok) uris.push(...answer.list.resources.map(({ uri }) => uri));
  }
  return { asked, uris };
};

test.each([
  ['session', { command: ['serve'], instance: 'session' }],
  ['run', { command: ['serve'], instance: 'run' }],
])('a list of a process that serves one %s is for its caller alone', async (_what, spec) => {
  const { asked, uris } = await listsOf(serverOf(spec));
  expect(uris).toEqual(['note://person:default/admin', 'note://person:default/guest', 'note://person:default/admin']);
  expect(asked).toHaveLength(2);
});

test('that of a server which serves all alike is asked for once', async () => {
  expect((await listsOf(serverOf({ url: 'http://127.0.0.1:9/mcp' }))).asked).toHaveLength(1);
});
