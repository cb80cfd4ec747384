import { z } from 'zod';
import { parseEndpoint } from './mcp-endpoint.ts';

/** Longest life of an access token of an agent run, and of a person, in seconds. */
export const runTokenLifetimeSeconds = 300;
export const personTokenLifetimeSeconds = 600;

/** What a token opens: tools, models, or the api of the control plane. */
export const accessScopes = ['mcp', 'models', 'api'] as const;
export type AccessScope = (typeof accessScopes)[number];

const name = z.string().min(1).max(512);

const registered = {
  iss: name,
  /** Exactly one: a list would let a token that is good elsewhere be good here. */
  aud: name,
  /** The person, `org/person`. */
  sub: name,
  client_id: name,
  jti: name,
  iat: z.int(),
  exp: z.int(),
  org: name,
  /** The key that the token is bound to (RFC 9449 §6.1). Strict: a token that is bound by something else is not taken as if it were free. */
  cnf: z.strictObject({ jkt: z.string().regex(/^[\w-]{43}$/) }).optional(),
};

type Lifetime = { iat: number; exp: number };
const livesAtMost = (seconds: number) => (claims: Lifetime) => claims.exp - claims.iat <= seconds;
const isOfOrg = (claims: { sub: string; org: string }): boolean => claims.sub.startsWith(`${claims.org}/`);

/** How many may have acted for each other: a longer chain is no token of ours. */
const mostActors = 3;
const depthOf = (act: unknown): number =>
  typeof act === 'object' && act !== null && 'sub' in act
    ? 1 + depthOf((act as { act?: unknown }).act)
    : act === undefined
      ? 0
      : mostActors + 1;
const earlierIn = (act: unknown): string[] => {
  const { sub: actor, act: before } = (act ?? {}) as { sub?: unknown; act?: unknown };
  return actor === undefined ? [] : [String(actor).slice(0, 512), ...earlierIn(before)];
};

/** Claims of a token of an agent run, in the spelling of RFC 9068 and RFC 8693; `sub` is the person the run is for, or the agent of one that a machine launched. */
export const RunTokenClaimsSchema = z
  .object({
    ...registered,
    /** The agent that acts. An `act` inside it is history and is taken out of it here, so that nothing can decide on it (RFC 8693 §4.1). */
    act: z.looseObject({ sub: name }).refine((act) => depthOf(act) <= mostActors),
    project: name,
    fleet: name,
    run: name,
    role: name,
    scope: z.enum(['mcp', 'models']),
  })
  .refine(livesAtMost(runTokenLifetimeSeconds))
  .refine(isOfOrg)
  .transform(({ act, ...claims }) => {
    const earlier = earlierIn(act.act);
    // who acted before, the latest first: for the record alone
    return { ...claims, act: Object.freeze({ sub: act.sub }), ...(earlier.length > 0 ? { earlierActors: Object.freeze(earlier) } : {}) };
  })
  .readonly();
export type RunTokenClaims = z.infer<typeof RunTokenClaimsSchema>;

/** Claims of a token of a person who logged in. With an `act` it would be somebody else's doing, and is refused. */
export const PersonTokenClaimsSchema = z
  .object({
    ...registered,
    /** The login it came from: it ends with that. */
    sid: name,
    /** When the person has last shown who they are, in seconds since the epoch, and how well by their issuer's own scale (OpenID Connect Core §2). */
    auth_time: z.int().optional(),
    acr: z.string().max(256).optional(),
    act: z.undefined().optional(),
    /** Space-separated; absent when the person granted nothing of this audience. */
    scope: z.string().max(512).default(''),
  })
  .refine(livesAtMost(personTokenLifetimeSeconds))
  .refine(isOfOrg)
  .readonly();
export type PersonTokenClaims = z.infer<typeof PersonTokenClaimsSchema>;

/** Whether a list of scopes holds one (RFC 6749 §3.3). */
export const hasScope = (scopes: string, scope: AccessScope): boolean => scopes.split(' ').includes(scope);

/** A protected resource that a token can be for: its audience has one spelling, however it was asked for. */
export type ProtectedResource = { audience: string; scope: AccessScope };

/**
 * Reads the URL of a protected resource as a client names it (RFC 8707). `/mcp/{toolset}` and its long form are one server, so one audience.
 * @param places.gatewayUrl - origin of the gateway, without a slash at the end
 * @param places.apiResource - URL of the api as a resource
 * @returns undefined where it names nothing that tokens are for
 */
export const readResource = (
  resource: string,
  { gatewayUrl, apiResource }: { gatewayUrl: string; apiResource: string },
): ProtectedResource | undefined => {
  if (resource === apiResource) return { audience: apiResource, scope: 'api' };
  if (resource === `${gatewayUrl}/v1`) return { audience: resource, scope: 'models' };
  if (!resource.startsWith(`${gatewayUrl}/mcp`)) return undefined;
  const endpoint = parseEndpoint(resource.slice(gatewayUrl.length));
  return endpoint && { audience: `${gatewayUrl}${endpoint.path}`, scope: 'mcp' };
};
