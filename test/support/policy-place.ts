import pino from 'pino';
import { freePort } from '../../bench/gateway/free-port.ts';
import { createApiPolicy } from '../../cli/processes/api-policy.ts';
import type { ApiProfile } from '../../control/api/api-dependencies.ts';
import type { CompileRego } from '../../control/api/compile-rego.ts';
import { startApi } from '../../control/api/start-api.ts';
import type { GatewayConfig } from '../../gateway/gateway-config.ts';
import { createRefusalCounter } from '../../store/audit-refusals.ts';
import { createContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';
import { createPolicySigner, createPolicyVerifier, policyPublicKey } from '../../store/secrets/policy-signature.ts';
import { approvalKeysOf, deriveContentKeys } from '../../store/secrets/seal.ts';
import { openAuditLog } from './audit-log.ts';

import { startCountingServer } from './counting-server.ts';
import { startPersonTokens } from './person-tokens.ts';
import { precompiledRego } from './precompiled-rego.ts';
import { runCli } from './run-cli.ts';
import { recordingTemporal } from './running-api.ts';
import { adminToken, guestToken, startRunningGateway } from './running-gateway.ts';

export const policySecret = 'a secret of 32 characters or more, for tests';

/** The gateway and the api with the real policies on one database, and a server of three tools behind `counting`. */
export const startPolicyPlace = async ({
  profile = 'dev',
  resources = [],
  gateway: overrides = {},
  beforeApi = async () => {},
  flow,
  compileRego = precompiledRego,
}: {
  profile?: ApiProfile;
  resources?: object[];
  gateway?: Partial<GatewayConfig>;
  flow?: object;
  compileRego?: CompileRego;
  /** What happens to the database before the api reads it. */
  beforeApi?: (database: Database) => Promise<void>;
} = {}) => {
  const server = await startCountingServer();
  const gateway = await startRunningGateway({ ...overrides, policyPublicKey: policyPublicKey(policySecret) });
  await gateway.apply(
    { kind: 'McpServer', metadata: { name: 'counting' }, spec: { url: server.url, timeoutSeconds: 5, ...(flow ? { flow } : {}) } },
    { kind: 'Toolset', metadata: { name: 'counting' }, spec: { servers: [{ name: 'counting' }], naming: 'plain' } },
    ...resources,
  );
  await gateway.ready('counting');

  await beforeApi(gateway.database);
  const logger = pino({ level: 'silent' });
  const policy = await createApiPolicy({
    database: gateway.database,
    profile,
    compileRego,
    clock: () => new Date(),
    verifyPolicies: createPolicyVerifier(policyPublicKey(policySecret)),
    logger,
  });
  const audit = openAuditLog(gateway.database);
  const tokens = await startPersonTokens(gateway.database);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const api = await startApi(
    { port, publicUrl: url, gatewayUrl: gateway.publicUrl, dataDirectory: '/nonexistent', profile, issuer: tokens.issuer },
    {
      database: gateway.database,
      audit,
      unknownCallers: createRefusalCounter({
        write: (events) => audit.append(gateway.database, events),
        newDecisionId: () => 'dec_unknown',
      }),
      auditPublicKey: { kty: 'OKP', crv: 'Ed25519', x: '' },
      verifyAudit: () => Promise.reject(new Error('no test of policies verifies the audit')),
      contentStore: createContentStore(gateway.database, deriveContentKeys(Buffer.alloc(32, 7).toString('base64'), 'content')),
      approvalKeys: approvalKeysOf(gateway.config.resultKey),
      targetPorts: { of: () => undefined },
      temporal: recordingTemporal().port,
      authorize: policy.authorize,
      validatePolicies: policy.validatePolicies,
      rego: policy.rego,
      signPolicies: createPolicySigner(policySecret),
      logger,
      clock: () => new Date(),
    },
  );
  const audience = `${gateway.publicUrl}/mcp/default/default/counting`;

  return {
    gateway,
    server,
    database: gateway.database,
    /** One call of a tool by HTTP. */
    call: async (token: string, name: string, argumentsOfCall: object = {}) => {
      const response = await fetch(audience, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
        },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: argumentsOfCall } }),
      });
      const text = await response.text();
      // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
      return JSON.parse(text.startsWith('{') ? text : (/^data: (\{.*)$/m.exec(text)?.[1] ?? '{}')) as any;
    },
    /** A token of a running agent of a role, for the toolset. */
    agentToken: async (role: string, more: { assignedPaths?: string[] } = {}) => {
      const { id } = await gateway.addAgent({ role, ...more });
      return gateway.mint(id, audience);
    },
    request: async (method: string, path: string, { body, token = adminToken }: { body?: unknown; token?: string } = {}) => {
      const response = await fetch(`${url}/api/v1alpha1${path}`, {
        method,
        headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
      return { status: response.status, challenge: response.headers.get('www-authenticate'), body: (await response.json()) as any };
    },
    qd: (args: string[], token = adminToken, input?: string) =>
      runCli(args, { env: { QUARTERDECK_URL: url, QUARTERDECK_TOKEN: token }, ...(input === undefined ? {} : { input }) }),
    guestToken,
    /** A token of a login so many seconds ago. */
    login: (person: string, loginAgeSeconds: number | null = 0, acr?: string) =>
      tokens.mint(person, { audience: `${url}/api`, loginAgeSeconds, now: new Date(), ...(acr === undefined ? {} : { acr }) }),
    close: async () => {
      await tokens.close();
      await api.close();
      await policy.close();
      await gateway.close();
      await server.close();
    },
  };
};
export type PolicyPlace = Awaited<ReturnType<typeof startPolicyPlace>>;
