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
});
export type IdentityProviderSpec = z.infer<typeof IdentityProviderSpecSchema>;

const RedirectUriSchema = z
  .string()
  .max(2048)
  .refine(
    isSafeRedirectUri,
    'a URI without a fragment: https, http on a loopback address, or an application’s own such as `com.example.app:/callback`',
  );

/** A client that people may use, registered beforehand. Its `client_id` is `org/project/name`. */
export const OAuthClientSpecSchema = z.strictObject({
  displayName: z.string().min(1).max(100).optional(),
  redirectUris: z.array(RedirectUriSchema).min(1).max(32),
  /** Without one it is a public client (RFC 6749 §2.1). */
  clientSecret: SecretReferenceSchema.optional(),
});
export type OAuthClientSpec = z.infer<typeof OAuthClientSpecSchema>;
