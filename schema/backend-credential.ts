import { z } from 'zod';
import { NameSchema } from './ids.ts';
import { ScopeSchema } from './resources/server-auth.ts';

/** What the gateway asks the issuer for: a credential that one server accepts, for one caller. Times are milliseconds. */
export const CredentialRequestSchema = z.strictObject({
  org: NameSchema,
  project: NameSchema,
  server: NameSchema,
  uid: z.string().max(128),
  generation: z.int(),
  /** `person:org/id`, `agent:org/project/fleet/…`, or `service`: the platform itself, which looks at what the server offers. */
  principal: z.string().min(1).max(1024),
  /** Beyond what is declared: scopes that the server said it needs. */
  scopes: z.array(ScopeSchema).max(64),
  /** Where the server said that it describes itself (RFC 9728). */
  metadataUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** The server did not accept the last one: another one is needed. */
  isRefused: z.boolean(),
});
export type CredentialRequest = z.infer<typeof CredentialRequestSchema>;

/** The private key that a token is bound to (RFC 9449): P-256, made for this token or grant alone. */
export const ProofKeySchema = z.object({ kty: z.literal('EC'), crv: z.literal('P-256'), x: z.string(), y: z.string(), d: z.string() });
export type ProofKey = z.infer<typeof ProofKeySchema>;

/** A header that goes along with each request to that server, and nowhere else. */
export const BackendCredentialSchema = z.object({
  header: z.string(),
  value: z.string(),
  /** Of a token that goes with the scheme `DPoP`: each request carries a proof, made anew, that whoever sends it has this key. */
  proofKey: ProofKeySchema.optional(),
  /** For how long it may be used from now on. */
  lifetimeMs: z.number(),
});
export type BackendCredential = z.infer<typeof BackendCredentialSchema>;

/** Where the issuer answers these requests, below its URL. */
export const credentialsPath = '/credentials';
