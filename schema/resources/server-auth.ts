import { z } from 'zod';
import { NameSchema } from '../ids.ts';
import { SecretReferenceSchema } from './metadata.ts';

const httpUrl = z.url({ protocol: /^https?$/ });
/** One scope of RFC 6749 §3.3. */
export const ScopeSchema = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'a scope: printable characters without spaces, `"` and `\\`');

/** How we show ourselves to an authorization server: by a secret, by a private key (PKCS #8, PEM), or not at all. */
export const BackendClientSchema = z.strictObject({
  id: z.string().min(1).max(2048),
  secret: SecretReferenceSchema.optional(),
  key: SecretReferenceSchema.optional(),
  keyAlgorithm: z.enum(['ES256', 'RS256', 'PS256', 'EdDSA']).default('ES256'),
  method: z.enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none']).optional(),
});
export type BackendClient = z.infer<typeof BackendClientSchema>;

const token = {
  /** What the token is for (RFC 8707); what the server's own metadata says, or its URL, where it is absent. */
  resource: httpUrl.optional(),
  /** What is asked for; what the server says that it needs, where there are none. */
  scopes: z.array(ScopeSchema).max(64).default([]),
};

/** A declared issuer is the only one that ever sees the client's secret: a server that names another one gets nothing. */
const bound = { issuer: httpUrl, client: BackendClientSchema, ...token };

/** What tokens may be for beside `resource`, where the issuer has a name of its own for it; it is asked for it by that name too. */
const audience = z.string().max(2048).optional();

/** A fixed secret. The weakest kind: it says nothing of who calls, so it is shown as such, and open-world tools do not get it by default. */
export const StaticAuthSchema = z.strictObject({
  kind: z.literal('static'),
  secret: SecretReferenceSchema,
  header: z
    .string()
    .regex(
      /^(?!(?:host|accept|connection|cookie|content-.*|transfer-.*|mcp-.*)$)[A-Za-z][A-Za-z0-9-]{0,63}$/i,
      'the name of a header that carries credentials',
    )
    .default('Authorization'),
  /** What stands before the secret; empty for nothing. */
  scheme: z
    .string()
    .regex(/^[A-Za-z0-9-]{0,32}$/, 'the name of an authentication scheme')
    .default('Bearer'),
  allowOpenWorld: z.boolean().default(false),
});

/** One token for all callers, of the platform itself (RFC 6749 §4.4). */
export const ClientCredentialsAuthSchema = z.strictObject({ kind: z.literal('clientCredentials'), ...bound, audience });

/** A token for each caller, in exchange for a statement of our issuer about who calls (RFC 8693). */
export const TokenExchangeAuthSchema = z.strictObject({
  kind: z.literal('tokenExchange'),
  ...bound,
  audience,
});

/** A token for each person, of a grant that the person gave. Without a client one is registered, or ours is named by its document. */
export const UserGrantAuthSchema = z.strictObject({
  kind: z.literal('userGrant'),
  issuer: httpUrl.optional(),
  client: BackendClientSchema.optional(),
  ...token,
});

/** A token for each person by an assertion of the company's identity provider (ID-JAG), given to the server's authorization server. */
export const IdJagAuthSchema = z.strictObject({ kind: z.literal('idJag'), ...bound, identityProvider: NameSchema });

/**
 * One token for all callers, for a JWT that says which workload the platform is (RFC 7523 §2.1): the issuer trusts whoever signed that, so
 * there is no secret to keep.
 */
export const WorkloadIdentityAuthSchema = z.strictObject({
  kind: z.literal('workloadIdentity'),
  issuer: httpUrl,
  /** Only where the issuer wants to know a client besides. */
  client: BackendClientSchema.optional(),
  ...token,
  /** Where the JWT is, such as a file that the cluster renews: read anew for each token. Without it our own issuer makes one. */
  assertion: SecretReferenceSchema.optional(),
  /** For whom the JWT is, where that is not the issuer: it goes there if it is for that, and nowhere else. */
  audience: z.string().min(1).max(2048).optional(),
});

/** How a server by URL knows who calls. */
export const ServerAuthSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  StaticAuthSchema,
  ClientCredentialsAuthSchema,
  TokenExchangeAuthSchema,
  UserGrantAuthSchema,
  IdJagAuthSchema,
  WorkloadIdentityAuthSchema,
]);
export type ServerAuth = z.infer<typeof ServerAuthSchema>;
export type ServerAuthKind = ServerAuth['kind'];
