import { z } from 'zod';
import { isLoopbackName, isSafeRedirectUri } from '../redirect-uri.ts';
import { SecretReferenceSchema } from './metadata.ts';

/** Whether secrets may cross the wire to this place: encrypted, or not leaving the machine. */
const isPrivateWay = (address: string): boolean => {
  if (!URL.canParse(address)) return true; // said by the check before
  const { protocol, hostname } = new URL(address);
  return protocol === 'https:' || isLoopbackName(hostname);
};

const claim = z.string().min(1).max(256);

/**
 * An OpenID Connect issuer whose people may log in. They belong to the org of this resource.
 * `audiences` are what an ID token may name beside our client id: any other one refuses it (OpenID Connect Core §3.1.3.7).
 */
export const IdentityProviderSpecSchema = z.strictObject({
  /** Shown to people who choose between several. */
  displayName: z.string().min(1).max(100).optional(),
  issuer: z
    .url({ protocol: /^https?$/ })
    .refine((address) => isPrivateWay(address), 'an https URL; http is for an issuer on this machine')
    .refine((address) => !/[?#]/.test(address), 'an issuer without a query or fragment (RFC 8414)'),
  clientId: z.string().min(1).max(256),
  /** Without one, our issuer is a public client there, held to PKCE. */
  clientSecret: SecretReferenceSchema.optional(),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, 'a scope (RFC 6749 §3.3)'))
    .max(32)
    .refine((scopes) => scopes.includes('openid'), '`openid` among them: without it nobody is named')
    .default(['openid', 'profile', 'email']),
  /** Which claim says what, looked for in the ID token, then in the userinfo answer. */
  claims: z
    .strictObject({
      subject: claim.default('sub'),
      email: claim.default('email'),
      name: claim.default('name'),
      groups: claim.default('groups'),
      /** Roles of the platform, `administrator` among them: only where the issuer is to say who administers. Absent: nobody gets a role by it. */
      roles: claim.optional(),
      /** A claim that this issuer keeps unique and never gives to another person; the id is then that, and not made from name and subject. */
      username: claim.optional(),
    })
    .prefault({}),
  audiences: z.array(z.string().min(1).max(2048)).max(32).default([]),
  /** Which of its tokens a client may bring in place of a person's login; none unless it is said. */
  accepts: z
    .strictObject({
      /** Tokens of people that are for one of these audiences, exchanged for ours (RFC 8693). */
      tokenExchange: z.strictObject({ audiences: z.array(z.string().min(1).max(2048)).min(1).max(32) }).optional(),
      /** Assertions by which it lets a client act for a person here (ID-JAG). */
      idJag: z.boolean().default(false),
      algorithms: z
        .array(z.enum(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA']))
        .min(1)
        .default(['RS256', 'PS256', 'ES256', 'EdDSA']),
    })
    .prefault({}),
});
export type IdentityProviderSpec = z.infer<typeof IdentityProviderSpecSchema>;

const RedirectUriSchema = z
  .string()
  .max(2048)
  .refine(
    isSafeRedirectUri,
    'a URI without a fragment: https, http on a loopback address, or an application’s own such as `com.example.app:/callback`',
  );

/** A machine's own token, from an issuer that is known here by its keys: a projected Kubernetes token, SPIFFE, a build service. */
const WorkloadSchema = z.strictObject({
  issuer: z.string().min(1).max(2048),
  /** Where that issuer's keys are: said here, and never looked for where a token points. */
  jwksUri: z.url({ protocol: /^https?$/ }).refine(isPrivateWay, 'an https URL; http is for an issuer on this machine'),
  subject: z.string().min(1).max(512),
});

/**
 * A client that is registered beforehand. Its `client_id` is `org/project/name`. One that acts for itself (`client_credentials`, or by a
 * `workload`) is the person `client-{project}-{name}` of its org: bindings name it, and `people disable` shuts it out.
 */
export const OAuthClientSpecSchema = z
  .strictObject({
    displayName: z.string().min(1).max(100).optional(),
    /** How it comes by tokens: a person logs in, it acts for itself, it brings a company's token or assertion. */
    grants: z
      .array(z.enum(['authorization_code', 'client_credentials', 'token-exchange', 'id-jag']))
      .max(4)
      .default(['authorization_code']),
    redirectUris: z.array(RedirectUriSchema).max(32).default([]),
    /** Without one it is a public client (RFC 6749 §2.1). */
    clientSecret: SecretReferenceSchema.optional(),
    /** Whether it gets no token that is not bound to a key of its own (RFC 9449 §5.2). */
    boundTokens: z.boolean().default(false),
    /** Machines that are this client by their own token, without a secret (RFC 7523). */
    workloads: z.array(WorkloadSchema).max(32).default([]),
  })
  .refine(({ grants, redirectUris }) => grants.includes('authorization_code') === redirectUris.length > 0, {
    path: ['redirectUris'],
    message: 'at least one with the grant `authorization_code`, and none without it',
  })
  .refine(({ grants, clientSecret }) => clientSecret !== undefined || grants.every((grant) => grant === 'authorization_code'), {
    path: ['clientSecret'],
    message: 'a secret: only a client that people log in with may be a public one',
  })
  .refine(({ grants, workloads }) => grants.length > 0 || workloads.length > 0, {
    path: ['grants'],
    message: 'at least one grant, or a workload',
  });
export type OAuthClientSpec = z.infer<typeof OAuthClientSpecSchema>;
