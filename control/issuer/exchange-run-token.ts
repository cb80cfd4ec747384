import { errors, type Provider, type TokenEndpointGrantContext } from 'oidc-provider';
import { z } from 'zod';
import { workerClientId } from '../../schema/worker-proof.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { AgentDirectory } from './agent-directory.ts';
import { decideRunToken, type RunTokenGrant, type RunTokenRefusal, type RunTokenRequest } from './decide-run-token.ts';
import type { IssuerConfig } from './issuer-config.ts';
import type { Worker, WorkerDecision } from './worker.ts';

export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const agentRunTokenType = 'urn:quarterdeck:params:oauth:token-type:agent-run';
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';

/**
 * The whole request, and nothing beside it. RFC 6749 §3.2 lets a server ignore what it does not know; here the one client is our
 * own, so a `sub` or an `audience` is a mistake or an attempt to name a subject, and neither may look as if it worked.
 */
const ExchangeRequestSchema = z.strictObject({
  grant_type: z.literal(tokenExchangeGrant),
  client_id: z.string().optional(),
  subject_token_type: z.literal(agentRunTokenType),
  // a reference to a row, so it is bounded and printable before it reaches the store
  subject_token: z.string().regex(/^[\x21-\x7e]{1,512}$/),
  // which worker asks: a client has no secret, it has a proof
  actor_token: z.string().regex(/^[\x21-\x7e]{1,16384}$/),
  actor_token_type: z.string().min(1).max(256),
  resource: z.string().min(1).max(2048),
  requested_token_type: z.literal(accessTokenType).optional(),
  scope: z.string().optional(),
});

type Received = RunTokenRequest & { proof: string; proofType: string };

const parseRequest = (body: unknown): Received => {
  const parsed = ExchangeRequestSchema.safeParse({ ...(body as object | undefined) });
  if (parsed.success) {
    const { subject_token: agentId, resource, scope, actor_token: proof, actor_token_type: proofType } = parsed.data;
    return { agentId, resource, scope, proof, proofType };
  }
  const issues = parsed.error.issues;
  // names of foreign parameters are the sender's text and are not echoed
  if (issues.some((issue) => issue.code === 'unrecognized_keys')) {
    throw new errors.InvalidRequest('the request holds a parameter that this grant does not take');
  }
  const fields = [...new Set(issues.map((issue) => String(issue.path[0])))];
  if (fields.includes('resource')) throw new errors.InvalidTarget('exactly one resource is needed');
  throw new errors.InvalidRequest(`missing or malformed: ${fields.join(', ')}`);
};

/** Many reasons, few answers: which of its agents exists or runs is not told to whoever holds the worker's secret; the log has it. */
const refuse = (reason: RunTokenRefusal): never => {
  switch (reason) {
    case 'audience_not_own':
      throw new errors.InvalidTarget('the resource is not one of this agent', reason);
    case 'scope_not_own':
      throw new errors.InvalidScope('the scope is not one of this resource', 'mcp models', reason);
    case 'halted':
      // said to the worker, so that it waits until a person lifts that
      throw new errors.AccessDenied('halted', reason);
    case 'scope_not_of_person':
      throw new errors.InvalidScope('the person of this run may not use that', 'mcp models', reason);
    case 'agent_unknown':
    case 'launch_not_authorised':
    case 'run_revoked':
    case 'run_not_running':
    case 'agent_not_running':
    case 'run_time_over':
    case 'tier_mismatch':
    case 'not_of_this_worker':
      throw new errors.InvalidGrant(reason);
  }
};

const mintToken = async ({ oidc }: TokenEndpointGrantContext, grant: RunTokenGrant, kid: string) => {
  const { provider, client } = oidc;
  const resourceServer = new provider.ResourceServer(grant.audience, {
    audience: grant.audience,
    scope: grant.scope,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'ES256', kid } },
  });
  const token = new provider.AccessToken({
    client,
    resourceServer,
    accountId: grant.subject,
    scope: grant.scope,
    grantId: grant.claims.run,
    gty: 'token_exchange',
    iat: grant.issuedAtSeconds,
    exp: grant.expiresAtSeconds,
    extra: grant.claims,
  });
  oidc.entity('AccessToken', token);
  return { value: await token.save(), tokenId: token.jti };
};

/** What the same grant means for clients other than the worker. */
export type OtherExchange = { exchange(context: TokenEndpointGrantContext): Promise<void>; parameters: readonly string[] };

export type RunTokenDependencies = {
  agents: AgentDirectory;
  checkWorker: (type: string, proof: string) => Promise<WorkerDecision>;
  clock: () => Date;
  logger: Logger;
  otherwise?: OtherExchange | undefined;
};

/**
 * Adds the grant by which a worker gets a token for one agent run: RFC 8693 with the agent's id as subject token, a proof of the worker as
 * actor token, and one RFC 8707 resource. Answers a JWT of RFC 9068 with `sub` the person, `act.sub` the agent, exactly one `aud`, at most 300 s long.
 * Refuses with `invalid_client` (no such worker), `access_denied` (halted by a person), `invalid_grant` (no such agent, not running, not its worker), `invalid_target`, `invalid_scope`, `invalid_request`;
 * answers 503 when the worker or the agent cannot be looked up.
 * @see https://www.rfc-editor.org/rfc/rfc8693#section-2
 */
export const registerRunTokenExchange = (
  provider: Provider,
  config: IssuerConfig & { currentKid: string },
  { agents, checkWorker, clock, logger, otherwise }: RunTokenDependencies,
): void => {
  /** Whoever cannot say at the moment has not said no: the worker tries again. */
  const orLater = <T>(asked: Promise<T>): Promise<T> =>
    asked.catch((cause: unknown) => {
      throw new errors.OIDCProviderError(503, 'temporarily_unavailable', { cause });
    });
  const workerOf = async ({ proof, proofType }: Received): Promise<Worker> => {
    const decision = await orLater(checkWorker(proofType, proof));
    if (decision.ok) return decision.worker;
    logger.warn({ event: 'worker-refused', reason: decision.reason }, 'a worker did not prove who it is');
    throw new errors.InvalidClient('the worker is not known here', decision.reason);
  };
  const exchange = async (context: TokenEndpointGrantContext): Promise<void> => {
    // clients of people may write any grant type into their own metadata
    if (context.oidc.client?.clientId !== workerClientId && otherwise) return otherwise.exchange(context);
    if (context.oidc.client?.clientId !== workerClientId)
      throw new errors.UnauthorizedClient('this grant is the worker’s alone', 'another client asked for an agent’s token');
    const request = parseRequest(context.oidc.body);
    const worker = await workerOf(request);
    const agent = await orLater(agents.findForToken(request.agentId));
    const conditions = { resourceBase: config.resourceBase, worker, now: clock() };
    const decision = decideRunToken(request, agent, conditions);
    if (!decision.ok) {
      // only a row's own id is logged: what was sent may be anything, a token pasted by mistake included
      logger.warn(
        { event: 'run-token-refused', reason: decision.reason, agentId: agent?.agentId, worker: worker.name },
        'run token refused',
      );
      return refuse(decision.reason);
    }
    const { grant } = decision;
    const { value, tokenId } = await mintToken(context, grant, config.currentKid);
    const minted = { agentId: grant.claims.act.sub, audience: grant.audience, tokenId, worker: worker.name };
    logger.debug({ event: 'run-token-minted', ...minted }, 'run token minted');
    context.body = {
      access_token: value,
      issued_token_type: accessTokenType,
      token_type: 'Bearer',
      expires_in: grant.expiresAtSeconds - grant.issuedAtSeconds,
      scope: grant.scope,
    };
  };
  // `resource` may repeat as far as the library is concerned, so that the answer is `invalid_target` (RFC 8707 §2)
  const parameters = new Set([...Object.keys(ExchangeRequestSchema.shape), ...(otherwise?.parameters ?? [])]);
  provider.registerGrantType(tokenExchangeGrant, exchange, [...parameters], ['resource']);
};
