import { decodeJwt, type JWK, type JWTPayload } from 'jose';
import type { ServerMetadata } from 'openid-client';
import { PlatformError } from '../../schema/errors.ts';
import { forgetSecret, resolveSecret, type SecretSources } from '../../store/secrets/references.ts';
import { type OfKind, secretOwnerOf } from './protected-server.ts';
import { stateCaller } from './state-caller.ts';

/** One that ends so soon may be over when it arrives. */
const endingSeconds = 5;

const refused = ({ name }: OfKind<'workloadIdentity'>, what: string, cause?: unknown) =>
  new PlatformError('credential_refused', `There is no token for the MCP server ${name}: \`spec.auth.assertion\` ${what}.`, { cause });

/**
 * Gets the JWT by which an authorization server knows the platform as a workload: from where it is kept, else from our own issuer, with `sub`
 * `mcpserver:org/project/name`. What is kept is looked at before it leaves: a machine's token is often good in many places, and one that is
 * for another place could be used there in our name.
 * @see https://www.rfc-editor.org/rfc/rfc7523#section-3
 */
export const createWorkloadAsserter = ({
  secrets,
  issuerUrl,
  signingKey,
  clock,
}: {
  secrets: SecretSources;
  issuerUrl: string;
  signingKey: () => JWK;
  clock: () => Date;
}) => {
  const claimsOf = (server: OfKind<'workloadIdentity'>, assertion: string): JWTPayload => {
    try {
      return decodeJwt(assertion);
    } catch (cause) {
      throw refused(server, 'leads to something that is no JWT', cause);
    }
  };
  const hasEnded = ({ exp }: JWTPayload): boolean => exp !== undefined && exp - endingSeconds <= clock().getTime() / 1000;

  const check = (server: OfKind<'workloadIdentity'>, claims: JWTPayload, { issuer, token_endpoint: endpoint }: ServerMetadata): void => {
    if (claims.exp === undefined) throw refused(server, 'leads to a JWT that never ends (`exp`), which could be used by anybody later');
    if (hasEnded(claims))
      throw refused(server, `leads to a JWT that ended at ${new Date(claims.exp * 1000).toISOString()}; is it renewed?`);
    const { audience } = server.auth;
    const base = issuer.replace(/\/$/, '');
    const expected = audience === undefined ? [base, `${base}/`, endpoint] : [audience];
    if (![claims.aud].flat().some((each) => each !== undefined && expected.includes(each)))
      throw refused(server, `leads to a JWT that is not for ${audience ?? issuer} (\`aud\`), so it is not sent there`);
  };

  /**
   * @param metadata - of the authorization server: the assertion goes there and nowhere else
   * @param isRefused - what is remembered of it does not count
   * @returns compact JWS
   * @throws {PlatformError} `secret_unavailable`, `credential_refused`
   */
  return async (server: OfKind<'workloadIdentity'>, metadata: ServerMetadata, isRefused: boolean): Promise<string> => {
    const { org, project, name, auth } = server;
    const { assertion: reference, audience } = auth;
    if (reference === undefined) {
      const about = { subject: `mcpserver:${org}/${project}/${name}`, audience: audience ?? metadata.issuer };
      return stateCaller({ issuerUrl, signingKey: signingKey(), clock }, about);
    }
    const owner = secretOwnerOf(server, 'auth.assertion');
    if (isRefused) forgetSecret(reference, secrets, owner);
    let assertion = await resolveSecret(reference, secrets, owner);
    if (hasEnded(claimsOf(server, assertion))) {
      // it may have been renewed where it is kept
      forgetSecret(reference, secrets, owner);
      assertion = await resolveSecret(reference, secrets, owner);
    }
    check(server, claimsOf(server, assertion), metadata);
    return assertion;
  };
};
export type AssertWorkload = ReturnType<typeof createWorkloadAsserter>;
