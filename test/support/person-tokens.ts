import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Database } from '../../store/database.ts';

/** Signs access tokens of people with a key of its own, and publishes that, as the issuer does; logins are rows, as the issuer makes them. */
export const startPersonTokens = async (database: Database) => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'test', alg: 'ES256', use: 'sig' }] };
  const server = createServer((_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(keys)),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuerUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let count = 0;
  return {
    issuer: { issuerUrl, jwksUri: `${issuerUrl}/jwks` },
    /**
     * A token of a person for the api.
     * @param options.loginAgeSeconds - how long ago they logged in; null for a token that does not say
     */
    mint: async (
      person: string,
      { audience, loginAgeSeconds, now, acr }: { audience: string; loginAgeSeconds: number | null; now: Date; acr?: string },
    ): Promise<string> => {
      count += 1;
      const sid = `login-${count}`;
      await database.$client.query(
        `insert into issuer_records (model, id, payload, account, expires_at) values ('Grant', $1, '{}', $2, '2100-01-01')`,
        [sid, `default/${person}`],
      );
      const iat = Math.floor(now.getTime() / 1000);
      const claims = {
        ...{ org: 'default', client_id: 'cli', jti: `${sid}-token`, sid, scope: 'api' },
        ...(loginAgeSeconds === null ? {} : { auth_time: iat - loginAgeSeconds }),
        ...(acr === undefined ? {} : { acr }),
      };
      return new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'test' })
        .setIssuer(issuerUrl)
        .setAudience(audience)
        .setSubject(`default/${person}`)
        .setIssuedAt(iat)
        .setExpirationTime(iat + 600)
        .sign(privateKey);
    },
    /** A token of an agent, signed with the same key, as if the issuer gave one for the api: which it never does. */
    mintForAgent: (agentId: string, person: string, { audience, now }: { audience: string; now: Date }): Promise<string> => {
      const iat = Math.floor(now.getTime() / 1000);
      const [org, project, fleet, run, , role] = agentId.split('/');
      return new SignJWT({ org, project, fleet, run, role, client_id: 'worker', scope: 'mcp models api', act: { sub: agentId } })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'test' })
        .setIssuer(issuerUrl)
        .setAudience(audience)
        .setSubject(`default/${person}`)
        .setJti('agent-token')
        .setIssuedAt(iat)
        .setExpirationTime(iat + 300)
        .sign(privateKey);
    },
    close: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
};
