import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import pino from 'pino';
import { freePort } from '../../bench/gateway/free-port.ts';
import { createApiPolicy } from '../../cli/processes/api-policy.ts';
import type { ApiAction, ApiDependencies, ApiProfile, FleetKey, TemporalPort } from '../../control/api/api-dependencies.ts';
import { startApi } from '../../control/api/start-api.ts';
import { createChannelNetwork } from '../../control/notify/channel-fetch.ts';
import { createRegoPool } from '../../policy/rego/create-rego-pool.ts';
import { createRegoPolicies } from '../../policy/rego/rego-policies.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { FleetWorkflowInput, ReconcileWorkflowInput } from '../../schema/workflow-contract.ts';
import { checkpointFile } from '../../store/audit-checkpoint-file.ts';
import { createCheckpointer } from '../../store/audit-checkpoints.ts';
import { createAuditSigner, makeAuditKey } from '../../store/audit-key.ts';
import { createRefusalCounter } from '../../store/audit-refusals.ts';
import { verifyAudit } from '../../store/audit-verify.ts';
import { createContentStore } from '../../store/contents.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { replacePersonToken, seedPeople } from '../../store/people.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { approvalKeys } from './ask-approval.ts';
import { openAuditLog } from './audit-log.ts';
import { startPersonTokens } from './person-tokens.ts';
import { startTestDatabase } from './postgres.ts';
import { precompiledRego } from './precompiled-rego.ts';

export const adminToken = 'test-admin-token-0123456789';
export const reviewerToken = 'test-reviewer-token-0123456789';
export const guestToken = 'test-guest-token-0123456789';

/** Writes down what was asked of Temporal; `away` makes it fail as an unreachable server does, `gone` as one without the workflow. */
export const recordingTemporal = () => {
  const starts: FleetWorkflowInput[] = [];
  const cancellations: FleetKey[] = [];
  const told: { agent: string; approvalId: string }[] = [];
  const looks: ReconcileWorkflowInput[] = [];
  const state = { away: false, gone: false };
  const refuse = () => {
    if (state.away) throw new PlatformError('store_unavailable', 'Temporal does not answer.');
  };
  const port: TemporalPort = {
    startFleet: async (input) => {
      starts.push(input);
      refuse();
    },
    cancelFleet: async (key) => {
      cancellations.push(key);
      refuse();
      return state.gone ? 'gone' : 'requested';
    },
    tellAgent: async (tell) => {
      told.push(tell);
      refuse();
      return state.gone ? 'gone' : 'told';
    },
    startReconcile: async (key) => {
      looks.push(key);
      refuse();
    },
    isReconciling: async () => {
      refuse();
      return !state.gone;
    },
  };
  return { starts, cancellations, told, looks, state, port };
};

const rolesOf: Readonly<Record<string, string[]>> = { admin: ['administrator'], reviewer: ['reviewer'] };

/**
 * Starts the real api on a database of its own. Two people are seeded: `admin` and `reviewer` may do everything, `guest` nothing;
 * `refusals` names further actions that nobody may take. With `cedar` the real policies decide, `admin` is an administrator and `reviewer`
 * a reviewer.
 */
export const startRunningApi = async ({
  profile = 'dev',
  port: wanted,
  cedar = false,
  secretValues = {},
  targetPorts = { of: () => undefined },
  temporal: otherTemporal,
  databaseUrl: otherDatabase,
}: {
  profile?: ApiProfile;
  port?: number;
  cedar?: boolean;
  targetPorts?: ApiDependencies['targetPorts'];
  /** In place of one that writes down what it is asked. */
  temporal?: TemporalPort;
  /** Of a database that somebody else made, and closes. */
  databaseUrl?: string;
  /** Environment variables that channels refer to. */
  secretValues?: Record<string, string>;
} = {}) => {
  const folder = mkdtempSync(join(tmpdir(), 'quarterdeck-api-'));
  const own = otherDatabase === undefined ? await startTestDatabase() : undefined;
  const databaseUrl = otherDatabase ?? own?.url ?? '';
  const database = openDatabase({ url: databaseUrl, name: 'test-api' });
  const everybody = ['admin', 'reviewer', 'guest'];
  await seedPeople(
    database,
    'default',
    everybody.map((id) => ({ id, groups: ['engineering'], roles: cedar ? (rolesOf[id] ?? []) : [] })),
  );
  const tokens = { admin: adminToken, reviewer: reviewerToken, guest: guestToken };
  for (const [personId, token] of Object.entries(tokens))
    await replacePersonToken(database, { org: 'default', personId, stamp: `${personId}-token`, token });

  const channelSecrets = { environment: { ...secretValues } };
  const network = createChannelNetwork({ allowsLoopback: true });
  const contentStore = createContentStore(database, deriveContentKeys(Buffer.alloc(32, 7).toString('base64'), 'content'));
  const audit = openAuditLog(database);
  const signer = createAuditSigner(makeAuditKey());
  const checkpoints = checkpointFile(join(folder, 'audit', 'checkpoints.jsonl'));
  const temporal = recordingTemporal();
  const refusals = new Set<ApiAction>();
  const logLines: string[] = [];
  const sink = new Writable({
    write: (line, _encoding, done) => {
      logLines.push(String(line));
      done();
    },
  });
  const clock = { now: new Date('2026-03-01T12:00:00Z') };
  const port = wanted ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const gatewayUrl = `http://127.0.0.1:${port - 1}`;
  const tokensOfLogins = await startPersonTokens(database);
  const config = { port, publicUrl: url, gatewayUrl, dataDirectory: folder, profile, issuer: tokensOfLogins.issuer };
  const regoPool = createRegoPool();
  const dependencies: ApiDependencies = {
    database,
    audit,
    unknownCallers: createRefusalCounter({ write: (events) => audit.append(database, events), newDecisionId: () => 'dec_unknown' }),
    auditPublicKey: signer.publicKey,
    verifyAudit: () => verifyAudit({ database, verifier: signer, sink: checkpoints }),
    contentStore,
    approvalKeys,
    targetPorts,
    temporal: otherTemporal ?? temporal.port,
    authorize: async (person: { id: string }, action: ApiAction) =>
      person.id === 'guest' || refusals.has(action)
        ? { effect: 'deny' as const, decisionId: 'dec_no', policies: ['platform/closed'] }
        : { effect: 'allow' as const, decisionId: 'dec_yes', policies: ['platform/open'] },
    validatePolicies: (_tenancy: unknown, texts: { name: string; cedar: string }[]) => {
      const broken = texts.filter(({ cedar }) => !cedar.includes(';'));
      const issues = broken.map(({ name }) => ({ name, message: 'unexpected end of input', line: 1, column: 7 }));
      return issues.length > 0 ? { ok: false as const, issues } : { ok: true as const };
    },
    rego: { compile: precompiledRego, pool: regoPool, inForce: createRegoPolicies({ pool: regoPool, now: () => performance.now() }) },
    signPolicies: () => 'signed',
    logger: pino({ level: 'debug' }, sink),
    clock: () => clock.now,
    channels: { secrets: channelSecrets, fetch: network.fetch },
  };
  const policy = cedar
    ? await createApiPolicy({
        database,
        compileRego: precompiledRego,
        profile,
        clock: () => clock.now,
        verifyPolicies: () => false,
        logger: dependencies.logger,
      })
    : undefined;
  if (policy) dependencies.authorize = policy.authorize;
  let api = await startApi(config, dependencies);

  /** Sends one request as a person; `body` is sent as JSON. */
  const request = async (
    method: string,
    path: string,
    { body, token = adminToken, headers = {} }: { body?: unknown; token?: string | null; headers?: Record<string, string> } = {},
  ) => {
    const response = await fetch(`${url}/api/v1alpha1${path}`, {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
    return { status: response.status, headers: response.headers, body: (await response.json()) as any };
  };
  const apply = (...documents: unknown[]) => request('POST', '/apply', { body: { documents } });

  return {
    url,
    port,
    folder,
    database,
    audit,
    unknownCallers: dependencies.unknownCallers,
    takeCheckpoints: createCheckpointer({ database, signer, sink: checkpoints, logger: dependencies.logger }),
    contentStore,
    temporal,
    tokensOfLogins,
    refusals,
    logLines,
    clock,
    network,
    channelSecrets,
    logger: dependencies.logger,
    /** A token of a login so many seconds ago; of one that does not say when, with null. */
    login: (person: string, loginAgeSeconds: number | null = 0, acr?: string) =>
      tokensOfLogins.mint(person, { audience: `${url}/api`, loginAgeSeconds, now: clock.now, ...(acr === undefined ? {} : { acr }) }),
    request,
    apply,
    /** Stops listening and listens again on the same port, as a restart does. */
    restart: async (whileAway: () => Promise<void>) => {
      await api.close();
      await whileAway();
      api = await startApi(config, dependencies);
    },
    close: async () => {
      await api.close();
      await network.close();
      await tokensOfLogins.close();
      await policy?.close();
      await regoPool.close();
      await closeDatabase(database);
      await own?.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};

export type RunningApi = Awaited<ReturnType<typeof startRunningApi>>;
