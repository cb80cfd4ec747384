import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { GatewayConfig } from '../../gateway/gateway-config.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { replacePersonToken, seedPeople } from '../../store/people.ts';
import { applyResources } from '../../store/resources.ts';
import { benchGroup, benchResources } from './bench-resources.ts';
import { freePort } from './free-port.ts';
import { modernHeaders, modernMeta } from './requests.ts';

const readyWithinMs = 60_000;

/** The configuration that `quarterdeck up` gives, as far as MCP needs it; nothing answers at the other addresses. */
const configOn = (port: number, databaseUrl: string): GatewayConfig => {
  const nowhere = 'http://127.0.0.1:9';
  return {
    port,
    publicUrl: `http://127.0.0.1:${port}`,
    databaseUrl,
    issuerUrl: nowhere,
    jwksUri: `${nowhere}/jwks`,
    apiUrl: nowhere,
    hostUrl: nowhere,
    hostKey: 'none',
    localModelUrl: nowhere,
    localModelKey: 'none',
    resultKey: randomBytes(32).toString('base64'),
    auditKey: randomBytes(32).toString('base64'),
    profile: 'solo',
    environment: {},
  };
};

const toolsAt = async (url: string, token: string): Promise<string> => {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: modernMeta } });
  const answer = await fetch(url, { method: 'POST', headers: modernHeaders('tools/list', token), body }).catch(() => undefined);
  return (await answer?.text()) ?? '';
};

const waitForTool = async (url: string, token: string, name: string): Promise<void> => {
  const until = Date.now() + readyWithinMs;
  for (;;) {
    const seen = await toolsAt(url, token);
    if (seen.includes(`"${name}"`)) return;
    if (Date.now() > until) throw new Error(`the gateway does not list ${name} at ${url}; it says: ${seen.slice(0, 500)}`);
    await delay(100);
  }
};

/** A gateway that serves, as a caller sees it. */
export type PreparedGateway = { port: number; token: string; pid: number; close(): Promise<void> };

/**
 * Fills the database, starts the gateway on it and waits until the tools of all servers are in force.
 * @param start - starts it in a process of its own
 */
export const prepareGateway = async (
  { databaseUrl, start }: { databaseUrl: string; start: (config: GatewayConfig) => Promise<{ pid: number; close(): Promise<void> }> },
  ports: { echoPorts: number[]; manyPort: number },
): Promise<PreparedGateway> => {
  const token = `qd_${randomBytes(24).toString('base64url')}`;
  const database = openDatabase({ url: databaseUrl, name: 'bench', max: 2 });
  try {
    await seedPeople(database, 'default', [{ id: 'bench', groups: [benchGroup], roles: [] }]);
    await replacePersonToken(database, { org: 'default', personId: 'bench', stamp: 'bench', token });
    await applyResources(database, benchResources(ports));
  } finally {
    await closeDatabase(database);
  }
  const port = await freePort();
  const { pid, close } = await start(configOn(port, databaseUrl));
  const signs = [
    ['one', 'read_16B_json'],
    ['all', `echo-${ports.echoPorts.length - 1}__read_16B_json`],
    ['many-filtered', 'tool_0000'],
  ] as const;
  try {
    for (const [toolset, sign] of signs) await waitForTool(`http://127.0.0.1:${port}/mcp/default/default/${toolset}`, token, sign);
  } catch (error) {
    await close();
    throw error;
  }
  return { port, token, pid, close };
};
