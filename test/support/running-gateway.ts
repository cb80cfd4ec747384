import { once } from 'node:events';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { freePort } from '../../bench/gateway/free-port.ts';
import type { GatewayConfig } from '../../gateway/gateway-config.ts';
import { startGateway } from '../../gateway/start-gateway.ts';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import type { Resource } from '../../schema/resource.ts';
import { AgentLimitsSchema } from '../../schema/resources/agent-role.ts';
import type { RunVolume } from '../../schema/run.ts';
import { validateResource } from '../../schema/validate-resource.ts';
import { beginAgent, insertAgents } from '../../store/agents.ts';
import { queryAudit } from '../../store/audit.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { replacePersonToken, seedPeople } from '../../store/people.ts';
import { applyResources } from '../../store/resources.ts';
import { insertRun, moveRun, type RunSnapshot } from '../../store/runs.ts';
import { auditKey, openAuditLog } from './audit-log.ts';
import { pollUntil } from './poll-until.ts';
import { startTestDatabase } from './postgres.ts';

export const adminToken = 'qd_test-admin-token-0123456789';
export const guestToken = 'qd_test-guest-token-0123456789';
const tenancy = { org: 'default', project: 'default' };

/** Reads resources as a user writes them; what is wrong with them fails the test. */
export const parsed = (...documents: object[]): Resource[] =>
  documents.map((document) => {
    const result = validateResource({ apiVersion: 'quarterdeck.dev/v1alpha1', ...document });
    if (!result.ok) throw new Error(JSON.stringify(result.issues));
    return result.resource;
  });

/** The real gateway on a database of its own, with an issuer's keys that the test holds. */
export const startRunningGateway = async (overrides: Partial<GatewayConfig> = {}) => {
  const ofTest = overrides.databaseUrl === undefined ? await startTestDatabase() : undefined;
  const databaseUrl = overrides.databaseUrl ?? ofTest?.url ?? '';
  const database = openDatabase({ url: databaseUrl, name: 'test-gateway' });
  await seedPeople(database, 'default', [
    { id: 'admin', groups: [], roles: ['administrator'] },
    { id: 'guest', groups: ['guests'], roles: [] },
  ]);
  await replacePersonToken(database, { org: 'default', personId: 'admin', stamp: 'admin-token', token: adminToken });
  await replacePersonToken(database, { org: 'default', personId: 'guest', stamp: 'guest-token', token: guestToken });
  await applyResources(database, parsed({ kind: 'Project', metadata: { name: 'default' }, spec: {} }));

  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'test', alg: 'ES256', use: 'sig' };
  /** The ids under which the issuer publishes its key; without any it has an outage. */
  const published = { kids: ['test'] };
  const issuer = createServer((_request, response) => {
    if (published.kids.length === 0) return response.writeHead(503).end();
    return response
      .setHeader('content-type', 'application/json')
      .end(JSON.stringify({ keys: published.kids.map((kid) => ({ ...jwk, kid })) }));
  }).listen(0, '127.0.0.1');
  await once(issuer, 'listening');
  const issuerUrl = `http://127.0.0.1:${(issuer.address() as { port: number }).port}`;

  const port = overrides.port ?? (await freePort());
  const publicUrl = `http://127.0.0.1:${port}`;
  const config: GatewayConfig = {
    port,
    publicUrl,
    databaseUrl,
    issuerUrl,
    jwksUri: `${issuerUrl}/jwks`,
    apiUrl: 'http://127.0.0.1:9',
    hostUrl: 'http://127.0.0.1:9',
    hostKey: 'host-key',
    localModelUrl: 'http://127.0.0.1:9',
    localModelKey: 'model-key',
    resultKey: Buffer.alloc(32, 5).toString('base64'),
    auditKey,
    profile: 'dev',
    environment: {},
    ...overrides,
  };
  let gateway = await startGateway(config);

  /** Signs a token as the issuer would; `changes` spoil it. */
  const mint = (agentId: string, audience: string, changes: Record<string, unknown> = {}): Promise<string> => {
    const [org, project, fleet, run, , role] = agentId.split('/');
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      org,
      project,
      fleet,
      run,
      role,
      client_id: 'worker',
      scope: audience.endsWith('/v1') ? 'models' : 'mcp',
      act: { sub: agentId },
      ...changes,
    };
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'test' })
      .setIssuer(issuerUrl)
      .setAudience(audience)
      .setSubject(String(changes.sub ?? 'default/admin'))
      .setJti(crypto.randomUUID())
      .setIssuedAt(now)
      .setExpirationTime(now + 300)
      .sign(privateKey);
  };

  /** Writes a running agent of a running run, as the worker would have. */
  const addAgent = async ({
    role = 'reader',
    runId = `run_${Math.random().toString(36).slice(2).padEnd(16, '0').slice(0, 16)}`,
    ordinal = 0,
    limits = {},
    assignedPaths = [],
    volumes = [],
    snapshot = {},
  }: {
    role?: string;
    runId?: string;
    ordinal?: number;
    limits?: object;
    assignedPaths?: string[];
    volumes?: RunVolume[];
    snapshot?: object;
  } = {}) => {
    const key = { ...tenancy, id: runId };
    if (ordinal === 0)
      await insertRun(database, {
        ...key,
        fleet: 'survey',
        snapshot: snapshot as RunSnapshot,
        inputsDigest: 'd',
        volumes,
        outputDirectory: null,
        quality: 'tiny',
        startedBy: 'admin',
        launchDecisionId: 'dec',
      });
    await moveRun(database, key, ['starting'], 'running');
    const id = `default/default/survey/${runId}/read/${role}/${ordinal}`;
    await insertAgents(database, [
      { ...tenancy, id, runId, stage: 'read', role, ordinal, inputDigest: 'd', assignedPaths, limits: AgentLimitsSchema.parse(limits) },
    ]);
    await beginAgent(database, id);
    return { id, runId, key };
  };

  const { people } = openAuditLog(database);
  const audit = async (query: object = {}) => queryAudit(database, tenancy, AuditQuerySchema.parse(query), people);

  return {
    config,
    publicUrl,
    issuer: published,
    database,
    mint,
    addAgent,
    audit,
    /** Waits for a row that `matches`; rows of read-only calls are committed a moment after the answer. */
    auditRow: (matches: (row: Awaited<ReturnType<typeof audit>>[number]) => boolean) =>
      pollUntil(async () => (await audit()).find(matches), 'an audit row'),
    apply: (...documents: object[]) => applyResources(database, parsed(...documents)),
    /** Waits until a server was looked at and its tools are in force. */
    ready: (name: string) =>
      pollUntil(async () => {
        const answer = await fetch(`${publicUrl}/mcp/${name}`, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${adminToken}`,
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
          },
          body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
        });
        const text = await answer.text();
        return text.includes('inputSchema') ? text : undefined;
      }, `toolset ${name}`),
    restart: async () => {
      await gateway.close();
      gateway = await startGateway(config);
    },
    stop: () => gateway.close(),
    close: async () => {
      await gateway.close().catch(() => undefined);
      issuer.close();
      await closeDatabase(database);
      await ofTest?.close();
    },
  };
};
export type RunningGateway = Awaited<ReturnType<typeof startRunningGateway>>;
