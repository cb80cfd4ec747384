import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRemoteJWKSet, importJWK, type JWK as JoseJwk, jwtVerify, SignJWT } from 'jose';
import { errors, type JWK, Provider } from 'oidc-provider';
import { freePort } from '../../bench/gateway/free-port.ts';

const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange';

/** Its names of logins by a password, and by a key besides. */
const oneThing = 'urn:company:password';
const twoThings = 'phr';

export type Employee = { sub: string; email: string; name: string; teams: string[] };

export const employees: Readonly<Record<string, Employee>> = {
  ada: { sub: 'u-0001', email: 'Ada.Lovelace@example.test', name: 'Ada Lovelace', teams: ['engineering', 'Not A Name'] },
  bob: { sub: 'u-0002', email: 'bob@example.test', name: 'Bob', teams: ['sales'] },
};

export const companyClient = { id: 'quarterdeck-at-company', secret: 'the-company-client-secret-0123456789' };

/**
 * A company's identity provider that is not ours in any setting: RS256, `client_secret_basic`, claims in userinfo alone, groups by another
 * name, cookies by other names, PKCE left to the client. Its login page takes any employee's name and no password; `key` stands for a second thing.
 */
export const startCompanyIdp = async (redirectUri: string) => {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const people = structuredClone(employees) as Record<string, Employee>;
  const key = {
    ...(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }) as JWK),
    alg: 'RS256',
    use: 'sig',
    kid: 'company-1',
  };
  const bySubject = (sub: string) => Object.values(people).find((employee) => employee.sub === sub);
  const provider = new Provider(issuer, {
    acrValues: [oneThing, twoThings],
    claims: { openid: ['sub'], profile: ['name', 'teams'], email: ['email'], acr: null },
    clients: [
      {
        client_id: companyClient.id,
        client_secret: companyClient.secret,
        redirect_uris: [redirectUri],
        response_types: ['code'],
        grant_types: ['authorization_code', tokenExchange],
        token_endpoint_auth_method: 'client_secret_basic',
      },
    ],
    cookies: { keys: ['company'], names: { session: 'company_session', interaction: 'company_interaction', resume: 'company_resume' } },
    features: { devInteractions: { enabled: false } },
    findAccount: async (_context, sub) => {
      const employee = bySubject(sub);
      return employee && { accountId: sub, claims: async () => ({ ...employee }) };
    },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    jwks: { keys: [key] },
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({ accountId: oidc.session?.accountId ?? '', clientId: oidc.client?.clientId ?? '' });
      grant.addOIDCScope('openid profile email');
      await grant.save();
      return grant;
    },
    scopes: ['openid', 'profile', 'email'],
  });
  // assertions about its people for other authorization servers (ID-JAG)
  const state = { audienceOfAssertions: undefined as string | undefined };
  const assertions: string[] = [];
  provider.registerGrantType(
    tokenExchange,
    async (context) => {
      const { subject_token: idToken, audience, resource, scope } = context.oidc.params as Record<string, string>;
      const { payload } = await jwtVerify(String(idToken), createRemoteJWKSet(new URL(`${issuer}/jwks`)), {
        issuer,
        audience: companyClient.id,
      }).catch(() => {
        throw new errors.InvalidGrant('no ID token of ours');
      });
      const assertion = await new SignJWT({ resource, client_id: 'quarterdeck-at-backend', ...(scope ? { scope } : {}) })
        .setProtectedHeader({ alg: 'RS256', typ: 'oauth-id-jag+jwt', kid: key.kid })
        .setIssuer(issuer)
        .setSubject(String(payload.sub))
        .setAudience(state.audienceOfAssertions ?? String(audience))
        .setJti(crypto.randomUUID())
        .setIssuedAt()
        .setExpirationTime('2m')
        .sign(await importJWK(key as JoseJwk, 'RS256'));
      assertions.push(assertion);
      context.body = {
        access_token: assertion,
        issued_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
        token_type: 'N_A',
        expires_in: 120,
      };
    },
    ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'resource', 'scope'],
  );
  const authorizations: URLSearchParams[] = [];
  let isOld = false;
  provider.use(async (context, next) => {
    if (context.path === '/auth') authorizations.push(new URLSearchParams(context.querystring));
    if (!context.path.startsWith('/interaction/')) return next();
    const chosen = new URLSearchParams(context.querystring).get('employee');
    if (chosen === null) {
      context.type = 'html';
      context.body = '<form method="get"><input name="employee"><button>Log in</button></form>';
      return;
    }
    const accountId = people[chosen]?.sub ?? 'nobody';
    const acr = new URLSearchParams(context.querystring).has('key') ? twoThings : oneThing;
    const ts = Math.floor(Date.now() / 1000) - (isOld ? 4000 : 0);
    context.status = 303;
    context.set('location', await provider.interactionResult(context.req, context.res, { login: { accountId, ts, acr } }));
    context.body = '';
  });
  const server = createServer(provider.callback()).listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    issuer,
    people,
    jwksUri: `${issuer}/jwks`,
    /** What can be spoiled. */
    state,
    /** What was said of people to other authorization servers, newest last. */
    assertions,
    /** Lets it answer with logins of an hour ago, whatever it is asked for. */
    answersOldLogins: (value: boolean) => {
      isOld = value;
    },
    /** Signs whatever a test wants the company to have said. */
    sign: async (claims: object, header: object = {}) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'RS256', kid: key.kid, ...header })
        .sign(await importJWK(key as JoseJwk, 'RS256')),
    /** What was asked for, newest last. */
    authorizations,
    close: async () => {
      server.close();
      server.closeAllConnections();
    },
  };
};
export type CompanyIdp = Awaited<ReturnType<typeof startCompanyIdp>>;
