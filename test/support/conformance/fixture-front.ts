import { adminToken, startRunningGateway } from '../running-gateway.ts';
import type { Check } from './run-scenarios.ts';
import { startTokenFront } from './token-front.ts';

/** A gateway in front of a fixture, at a URL that the conformance program can use without a token. */
export const startFixtureFront = async (startServer: () => Promise<{ url: string; close(): Promise<void> }>) => {
  const server = await startServer();
  const gateway = await startRunningGateway();
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'fixture' }, spec: { url: server.url } },
    { kind: 'Toolset', metadata: { name: 'fixture' }, spec: { servers: [{ name: 'fixture' }], naming: 'plain' } },
  );
  await gateway.ready('fixture');
  const front = await startTokenFront(`${gateway.publicUrl}/mcp/fixture`, adminToken);
  return {
    url: front.url,
    close: async (): Promise<void> => {
      for (const part of [front, gateway, server]) await part.close();
    },
  };
};

/** What did not pass, as `check: message`; a scenario that left no report did not pass either. */
export const failuresIn = (checks: Check[] | undefined): string[] =>
  (checks ?? [{ id: 'report', status: 'FAILURE', errorMessage: 'the scenario left no report' } satisfies Check])
    .filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
    .map(({ id, errorMessage }) => `${id}: ${errorMessage}`);
