import { z } from 'zod';

/** The OAuth client that workers are. It has no secret: each request brings a proof of which worker asks. */
export const workerClientId = 'worker';

/** By which a worker that holds a join token makes its key known (RFC 6749 §4.5). */
export const workerJoinGrant = 'urn:quarterdeck:params:oauth:grant-type:worker-join';

/** Kinds of proof, as `actor_token_type` (RFC 8693 §3): a JWT of a key that joined, a service-account token, a JWT-SVID. */
export const workerProofTypes = {
  joined: 'urn:quarterdeck:params:oauth:token-type:joined-worker',
  kubernetes: 'urn:quarterdeck:params:oauth:token-type:kubernetes-service-account',
  spiffe: 'urn:quarterdeck:params:oauth:token-type:jwt-svid',
} as const;

/** Who a proof is for: the issuer's token endpoint, and nothing else. */
export const workerProofAudience = (issuerUrl: string): string => `${issuerUrl}/token`;

/** Longest life of a proof that a joined worker signs, and of the key that it joined with, in seconds. */
export const joinedProofLifetimeSeconds = 60;
export const joinedKeyLifetimeSeconds = 3600;

const name = z.string().min(1).max(253);
/** Which agents a worker may ask for; without a limit, all of its trust tier. */
const limits = {
  tier: name.default('default'),
  org: name.optional(),
  project: name.optional(),
  fleet: name.optional(),
  role: name.optional(),
};

const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** How an issuer believes workers outside of `up`: the file that QUARTERDECK_WORKER_TRUST names, in YAML or JSON. */
export const WorkerTrustSchema = z
  .strictObject({
    kubernetes: z
      .strictObject({
        /** Origin of the API server that is asked (TokenReview). */
        apiUrl: z.url({ protocol: /^https$/ }).default('https://kubernetes.default.svc'),
        caFile: z.string().startsWith('/').default(`${serviceAccountFolder}/ca.crt`),
        /** The issuer's own token there; it needs the right to create token reviews. */
        tokenFile: z.string().startsWith('/').default(`${serviceAccountFolder}/token`),
        serviceAccounts: z.array(z.strictObject({ namespace: name, name, ...limits })).min(1),
      })
      .optional(),
    spiffe: z
      .strictObject({
        trustDomain: z.string().regex(/^[a-z0-9._-]{1,255}$/, 'lower-case letters, digits, dots, dashes and underscores'),
        /** Keys of the trust domain's JWT-SVIDs (JWKS): a file that SPIRE keeps up to date, or its bundle endpoint. */
        jwks: z.union([z.strictObject({ file: z.string().startsWith('/') }), z.strictObject({ url: z.url({ protocol: /^https$/ }) })]),
      })
      .optional(),
  })
  .refine(({ kubernetes, spiffe }) => kubernetes !== undefined || spiffe !== undefined, 'kubernetes, spiffe, or both');
export type WorkerTrust = z.infer<typeof WorkerTrustSchema>;
