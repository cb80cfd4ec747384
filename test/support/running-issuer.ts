import { Writable } from 'node:stream';
import type { JWK } from 'jose';
import pino from 'pino';
import { createJoinedProofs } from '../../activities/worker-proof.ts';
import { freePort } from '../../bench/gateway/free-port.ts';
import type { AgentDirectory, AgentForToken } from '../../control/issuer/agent-directory.ts';
import type { IssuerConfig } from '../../control/issuer/issuer-config.ts';
import { makeJoinToken } from '../../control/issuer/join-token.ts';
import { makeSigningKey } from '../../control/issuer/make-signing-key.ts';
import { startIssuer } from '../../control/issuer/start-issuer.ts';
import { type WorkerTrust, workerClientId, workerProofTypes } from '../../schema/worker-proof.ts';
import type { WorkerKeys } from '../../store/worker-keys.ts';
import { createMemoryWorkerKeys } from './memory-worker-keys.ts';

export const resourceBase = 'http://127.0.0.1:7420';
export const toolsetUrl = `${resourceBase}/mcp/default/default/files`;
export const modelsUrl = `${resourceBase}/v1`;
export const agentId = 'default/default/survey/run_1/read/reader/0';

/** A running agent of a launch that was allowed; its token may be minted. */
export const runningAgent: AgentForToken = {
  org: 'default',
  project: 'default',
  fleet: 'survey',
  runId: 'run_1',
  agentId,
  role: 'reader',
  startedBy: 'admin',
  personScopes: ['mcp', 'models'],
  runState: 'running',
  agentState: 'running',
  toolset: 'files',
  isHalted: false,
  launchAuthorised: true,
};

/** Signs join tokens of the issuers of tests. */
export const joinKey = 'a-key-for-join-tokens-of-at-least-32-characters';

type Parameters = Record<string, string | string[] | undefined>;

/**
 * Starts the real issuer over agents in memory.
 * `exchange` sends a correct request of the worker, changed by `parameters` (`undefined` leaves one out); `mint` returns its token.
 */
export const startRunningIssuer = async (
  options: {
    clock?: () => Date;
    signingKeys?: JWK[];
    port?: number;
    workerTier?: string;
    workers?: WorkerTrust;
    workerKeys?: WorkerKeys;
    agents?: AgentDirectory;
  } = {},
) => {
  const port = options.port ?? (await freePort());
  const issuerUrl = `http://127.0.0.1:${port}`;
  const signingKeys = options.signingKeys ?? [await makeSigningKey()];
  const config: IssuerConfig = { port, issuerUrl, resourceBase, signingKeys, workers: { ...options.workers, joinKey } };
  const clock = () => (options.clock?.() ?? new Date()).getTime();
  const joinToken = async () => makeJoinToken(joinKey, { now: clock(), ...(options.workerTier ? { tier: options.workerTier } : {}) });
  const proofs = createJoinedProofs({ issuerUrl, joinToken, clock });
  const rows = new Map<string, AgentForToken>([[agentId, runningAgent]]);
  const lookUp = { fails: false };
  const agents = {
    findForToken: async (id: string) => {
      if (lookUp.fails) throw new Error('the database is away');
      return rows.get(id);
    },
  };
  const logLines: string[] = [];
  const sink = new Writable({
    write: (line, _encoding, done) => {
      logLines.push(String(line));
      done();
    },
  });
  const issuer = await startIssuer(config, {
    agents: options.agents ?? agents,
    workerKeys: options.workerKeys ?? createMemoryWorkerKeys(),
    clock: options.clock,
    logger: pino({ level: 'debug' }, sink),
  });

  const prove = async () => (await proofs.prove(AbortSignal.timeout(10_000))).token;
  const post = async (form: URLSearchParams, headers: Record<string, string> = {}) => {
    const response = await fetch(`${issuerUrl}/token`, { method: 'POST', body: form, headers });
    return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
  };
  const exchange = async (parameters: Parameters = {}, headers: Record<string, string | undefined> = {}) => {
    const form = new URLSearchParams();
    const all: Parameters = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      client_id: workerClientId,
      ...('actor_token' in parameters ? {} : { actor_token: await prove() }),
      actor_token_type: workerProofTypes.joined,
      subject_token_type: 'urn:quarterdeck:params:oauth:token-type:agent-run',
      subject_token: agentId,
      resource: toolsetUrl,
      ...parameters,
    };
    for (const [key, value] of Object.entries(all)) for (const each of [value ?? []].flat()) form.append(key, each);
    return post(form, Object.fromEntries(Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined)));
  };
  const mint = async (parameters: Parameters = {}): Promise<string> => {
    const { status, body } = await exchange(parameters);
    if (status !== 200) throw new Error(`not minted: ${status} ${JSON.stringify(body)}`);
    return String(body.access_token);
  };
  return { ...config, rows, lookUp, logLines, joinToken, prove, post, exchange, mint, jwksUri: `${issuerUrl}/jwks`, close: issuer.close };
};

export type RunningIssuer = Awaited<ReturnType<typeof startRunningIssuer>>;
