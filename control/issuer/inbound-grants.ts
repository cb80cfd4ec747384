import { errors, type KoaContextWithOIDC, type Provider, type TokenEndpointGrantContext } from 'oidc-provider';
import { z } from 'zod';
import { readResource } from '../../schema/access-token.ts';
import { isPlatformError } from '../../schema/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { type Admission, type AssertedBy, AssertionReplayed } from './admit-person.ts';
import type { EntryRecords } from './entry-records.ts';
import { type OtherExchange, tokenExchangeGrant } from './exchange-run-token.ts';
import type { TokenMaker, TokenWish } from './issue-token.ts';
import type { Middleware } from './middleware.ts';
import type { KeyProof } from './prove-key.ts';
import { AssertionRefused, isIdJag, jwtBearerGrant } from './read-assertion.ts';

const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
const subjectTokenTypes = [accessTokenType, 'urn:ietf:params:oauth:token-type:id_token', 'urn:ietf:params:oauth:token-type:jwt'] as const;
const longestToken = 16_384;

const authentication = { client_id: z.string().optional(), client_secret: z.string().optional() };
const wish = { resource: z.string().max(2048).optional(), scope: z.string().max(512).optional() };
/** Parameters that are not known are refused, so that none looks as if it worked: an `actor_token` among them. */
const ExchangeSchema = z.strictObject({
  grant_type: z.literal(tokenExchangeGrant),
  ...authentication,
  ...wish,
  resource: z.string().max(2048),
  subject_token: z.string().min(1).max(longestToken),
  subject_token_type: z.enum(subjectTokenTypes),
  requested_token_type: z.literal(accessTokenType).optional(),
});
const BearerSchema = z.strictObject({
  grant_type: z.literal(jwtBearerGrant),
  ...authentication,
  ...wish,
  assertion: z.string().min(1).max(longestToken),
});
const ClientSchema = z.strictObject({
  grant_type: z.literal('client_credentials'),
  ...authentication,
  ...wish,
  resource: z.string().max(2048),
});

const parse = <T>(schema: z.ZodType<T>, body: unknown): T => {
  const parsed = schema.safeParse({ ...(body as object | undefined) });
  if (parsed.success) return parsed.data;
  const fields = [
    ...new Set(parsed.error.issues.map(({ path, code }) => (code === 'unrecognized_keys' ? 'a parameter too many' : String(path[0])))),
  ];
  if (fields.includes('resource')) throw new errors.InvalidTarget('exactly one resource is needed');
  throw new errors.InvalidRequest(`missing or malformed: ${fields.join(', ')}`);
};

/** The client, which has to have shown a secret: whoever may act for people without one could be anybody. */
const confidential = (context: KoaContextWithOIDC) => {
  const { client } = context.oidc;
  if (client === undefined || client.clientAuthMethod === 'none')
    throw new errors.UnauthorizedClient('this grant needs a client with a secret');
  return client;
};

/**
 * The grants by which a client comes by a token without a person at a browser: a company's token exchanged (RFC 8693), a company's assertion
 * for this client (ID-JAG), its own secret (client credentials), and a machine's own token without any client (RFC 7523).
 * Why something is refused is in the log and the audit; the answer is `invalid_grant`. Tokens and assertions are in neither.
 */
export const createInboundGrants = ({
  provider,
  admission,
  issue,
  proveKey,
  places,
  records,
  clock,
  logger,
}: {
  provider: Provider;
  admission: Admission;
  issue: TokenMaker;
  proveKey: KeyProof;
  places: { gatewayUrl: string; apiResource: string };
  records: EntryRecords | undefined;
  clock: () => Date;
  logger: Logger;
}) => {
  /** Runs what may find out that something is not to be believed; a known client's failure is on record. */
  const guard = async <T>(clientId: string, grant: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      const isRefusal = error instanceof AssertionRefused;
      if (!isRefusal && !(isPlatformError(error) && !error.isRetryable)) throw error;
      const isReplay = error instanceof AssertionReplayed;
      logger.warn(
        { event: isReplay ? 'assertion-replayed' : 'assertion-refused', client: clientId, grant, reason: error.message },
        'refused',
      );
      const { org, project } = admission.clientOf(clientId);
      const facts = { client: clientId, grant, reason: error.message, ...(isReplay ? { alert: 'assertion-replayed' } : {}) };
      await records?.refuse({ action: 'exchangeToken', org, project, person: null, facts }, 'token_refused');
      throw new errors.InvalidGrant(error.message);
    }
  };

  const finish = async (
    context: KoaContextWithOIDC,
    client: Parameters<TokenMaker>[0],
    by: AssertedBy,
    wanted: TokenWish,
    grant: string,
  ): Promise<void> => {
    const answer = await issue(client, { ...by, nowSeconds: Math.floor(clock().getTime() / 1000) }, wanted);
    const { project } = admission.clientOf(client.clientId);
    const facts = { client: client.clientId, grant, resource: wanted.resource ?? '' };
    await records?.allow({ action: 'exchangeToken', org: by.org, project, person: by.person, stamp: by.stamp, facts });
    context.body = answer;
  };

  const exchange = async (context: TokenEndpointGrantContext): Promise<void> => {
    const client = confidential(context);
    const { subject_token: token, resource, scope } = parse(ExchangeSchema, context.oidc.body);
    const jkt = await proveKey(context.req, client);
    const moment = { now: clock(), provenKey: jkt };
    const by = await guard(client.clientId, 'token-exchange', () => admission.byToken(client.clientId, token, moment));
    await finish(context, client, by, { resource, scope, jkt }, 'token-exchange');
  };

  const assert = async (context: TokenEndpointGrantContext): Promise<void> => {
    const client = confidential(context);
    const { assertion, resource, scope } = parse(BearerSchema, context.oidc.body);
    const isOurs = (asked: string): boolean => readResource(asked, places) !== undefined && (resource === undefined || resource === asked);
    const jkt = await proveKey(context.req, client);
    const { by, claims } = await guard(client.clientId, 'id-jag', async () => {
      if (!isIdJag(assertion)) throw new AssertionRefused('it is not an assertion of an identity provider');
      return admission.byIdJag(client.clientId, assertion, isOurs, { now: clock(), provenKey: jkt });
    });
    // the token is for the assertion's own resource, with what all three of assertion, request and resource have in common
    await finish(context, client, by, { resource: claims.resource, scope, allowedScope: claims.scope, jkt }, 'id-jag');
  };

  const actForItself = async (context: TokenEndpointGrantContext): Promise<void> => {
    const client = confidential(context);
    const { resource, scope } = parse(ClientSchema, context.oidc.body);
    const jkt = await proveKey(context.req, client);
    const by = await guard(client.clientId, 'client_credentials', () => admission.bySecret(client.clientId));
    await finish(context, client, by, { resource, scope, jkt }, 'client_credentials');
  };

  const workload = async (context: KoaContextWithOIDC): Promise<void> => {
    const { assertion, resource, scope } = parse(BearerSchema, context.oidc.body);
    const jkt = await proveKey(context.req);
    const { by, clientId } = await admission.byWorkload(assertion, { now: clock(), provenKey: jkt }).catch((error: unknown) => {
      if (!(error instanceof AssertionRefused) && !(isPlatformError(error) && !error.isRetryable)) throw error;
      logger.warn({ event: 'workload-refused', reason: error.message }, 'a workload was refused');
      records?.count(context.req, 'token_refused');
      throw new errors.InvalidGrant(error.message);
    });
    const client = await provider.Client.find(clientId);
    if (client === undefined) throw new errors.InvalidGrant('the client is gone');
    if (client.dpopBoundAccessTokens && jkt === undefined) throw new errors.InvalidDpopProof('the client has its tokens bound to a key');
    await finish(context, client, by, { resource, scope, jkt }, 'workload');
  };

  /**
   * Answers machines that bring no client, only their own token. The library wants a client before it looks at a grant, so it has refused
   * them when they get here; nothing else of its answer is kept.
   */
  const answerWorkloads: Middleware = async (context, next) => {
    await next();
    const oidc = context.oidc as KoaContextWithOIDC['oidc'] | undefined;
    const body = oidc?.body as Record<string, unknown> | undefined;
    const isWorkload =
      context.path === '/token' &&
      context.method === 'POST' &&
      body?.grant_type === jwtBearerGrant &&
      body.client_id === undefined &&
      body.client_secret === undefined &&
      context.req.headers.authorization === undefined;
    if (!isWorkload) return;
    try {
      await workload(context as KoaContextWithOIDC);
      context.status = 200;
    } catch (error) {
      const known = error instanceof errors.OIDCProviderError ? error : undefined;
      if (!known) logger.error({ event: 'workload-failed', err: error }, 'a workload could not be answered');
      context.status = known?.statusCode ?? 503;
      context.body = known ? { error: known.error, error_description: known.error_description } : { error: 'temporarily_unavailable' };
    }
  };

  provider.registerGrantType(jwtBearerGrant, assert, Object.keys(BearerSchema.shape));
  provider.registerGrantType('client_credentials', actForItself, Object.keys(ClientSchema.shape));
  const otherwise: OtherExchange = { exchange, parameters: Object.keys(ExchangeSchema.shape) };
  return { otherwise, answerWorkloads };
};
