import { createRemoteJWKSet, type JWTVerifyGetKey } from 'jose';
import { allowInsecureRequests, discovery, None } from 'openid-client';
import type { UpstreamProvider } from './upstream-providers.ts';

const answerWithinMs = 5_000;
/** An issuer may move its keys; until then its metadata is not asked for again. */
const metadataMaxAgeMs = 300_000;

/**
 * Finds the keys of issuers: those of a login provider by its metadata, which has to name the issuer that was asked; those of workloads at
 * the address that is declared. A token says nothing about where its keys are.
 */
export const createCompanyKeys = () => {
  const sets = new Map<string, JWTVerifyGetKey>();
  const addresses = new Map<string, { until: number; jwksUri: Promise<string> }>();

  const keysAt = (jwksUri: string): JWTVerifyGetKey => {
    const known = sets.get(jwksUri);
    if (known) return known;
    const made = createRemoteJWKSet(new URL(jwksUri), { timeoutDuration: answerWithinMs, cooldownDuration: 5_000, cacheMaxAge: 60_000 });
    sets.set(jwksUri, made);
    return made;
  };

  const discover = async ({ spec: { issuer, clientId } }: UpstreamProvider): Promise<string> => {
    const isPlain = new URL(issuer).protocol === 'http:'; // declared for this machine alone
    const options = { timeout: answerWithinMs / 1000, ...(isPlain ? { execute: [allowInsecureRequests] } : {}) };
    const { jwks_uri: jwksUri } = (await discovery(new URL(issuer), clientId, undefined, None(), options)).serverMetadata();
    if (jwksUri === undefined) throw new Error('the issuer does not say where its keys are');
    return jwksUri;
  };

  const keysOf = (provider: UpstreamProvider): JWTVerifyGetKey => {
    const { key, version } = provider;
    const name = `${key}@${version}`;
    return async (header, token) => {
      let known = addresses.get(name);
      if (known === undefined || known.until <= Date.now()) {
        known = { until: Date.now() + metadataMaxAgeMs, jwksUri: discover(provider) };
        addresses.set(name, known);
        known.jwksUri.catch(() => addresses.delete(name));
      }
      return keysAt(await known.jwksUri)(header, token);
    };
  };

  return { keysAt, keysOf };
};
export type CompanyKeys = ReturnType<typeof createCompanyKeys>;
