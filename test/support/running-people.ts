import { createHash, randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import pino from 'pino';
import { freePort } from '../../bench/gateway/free-port.ts';
import { createAgentDirectory } from '../../cli/processes/agent-directory.ts';
import { startApi } from '../../control/api/start-api.ts';
import type { GuardedFetch } from '../../control/issuer/guarded-fetch.ts';
import { makeSigningKey } from '../../control/issuer/make-signing-key.ts';
import { commandLineClientId, type PeopleConfig } from '../../control/issuer/people-config.ts';
import { rotateSigningKeys } from '../../control/issuer/rotate-signing-keys.ts';
import { startIssuer } from '../../control/issuer/start-issuer.ts';
import { createRegoPool } from '../../policy/rego/create-rego-pool.ts';
import { createRegoPolicies } from '../../policy/rego/rego-policies.ts';
import type { SealedName } from '../../schema/seal-key.ts';
import { createAuditLog } from '../../store/audit-log.ts';
import { createRefusalCounter } from '../../store/audit-refusals.ts';
import { createContentStore } from '../../store/contents.ts';
import { keepSealed } from '../../store/keep-sealed.ts';
import { findResource } from '../../store/resources.ts';
import { openSealRing } from '../../store/seal-ring.ts';
import { credentialKeyOf, deriveContentKeys } from '../../store/secrets/seal.ts';
import { watchRefusedKeys } from '../../store/watch-refused-keys.ts';
import { createWorkerKeys } from '../../store/worker-keys.ts';
import { approvalKeys } from './ask-approval.ts';
import { auditKey, openAuditLog } from './audit-log.ts';
import { type Browser, createBrowser, type Page } from './browser.ts';
import { companyClient, startCompanyIdp } from './company-idp.ts';
import { precompiledRego } from './precompiled-rego.ts';
import { recordingTemporal } from './running-api.ts';
import { startRunningGateway } from './running-gateway.ts';
import { agentId, joinKey, runningAgent } from './running-issuer.ts';

/** 32 bytes that seal the keys of the issuer. */
export const sealingKey = Buffer.alloc(32, 9).toString('base64');

/** Of a machine client that a test declares with `{ env: 'MACHINE_SECRET' }`. */
export const machineSecret = 'the-secret-of-a-machine-client-0123456789';

const secretVariable = 'COMPANY_CLIENT_SECRET';

/** The resource that lets the company's people in; groups come by the claim `teams`. */
export const companyProvider = (issuer: string, changes: object = {}) => ({
  kind: 'IdentityProvider',
  metadata: { name: 'company' },
  spec: {
    issuer,
    clientId: companyClient.id,
    clientSecret: { env: secretVariable },
    scopes: ['openid', 'profile', 'email'],
    claims: { groups: 'teams' },
    ...changes,
  },
});

/**
 * The real gateway, issuer and api on one database, and a company's identity provider that is independent of them. `request` begins a
 * login as a client does; `logIn` plays it through.
 */
export const startRunningPeople = async (
  options: {
    people?: Partial<PeopleConfig>;
    guardedFetch?: GuardedFetch;
    environment?: Record<string, string>;
    clock?: () => Date;
    rotatesKeys?: boolean;
    /** Keys of pseudonyms and grants rotate, as soon as these say. */
    sealing?: { pollMs: number; sealsAfterMs: number; everyMs: number };
  } = {},
) => {
  const issuerPort = await freePort();
  const apiPort = await freePort();
  const issuerUrl = `http://127.0.0.1:${issuerPort}`;
  const apiUrl = `http://127.0.0.1:${apiPort}`;
  const jwksUri = `${issuerUrl}/jwks`;
  const company = await startCompanyIdp(`${issuerUrl}/login/callback`);
  const gateway = await startRunningGateway({ issuerUrl, jwksUri, apiUrl, ...(options.sealing ? { sealing: options.sealing } : {}) });
  await gateway.apply(companyProvider(company.issuer));

  const grantKey = Buffer.alloc(32, 9).toString('base64');
  const logLines: string[] = [];
  const sink = new Writable({
    write: (line, _encoding, done) => {
      logLines.push(String(line));
      done();
    },
  });
  const logger = pino({ level: 'debug' }, sink);
  const signingKeys = [await makeSigningKey()];
  const people: PeopleConfig = {
    apiResource: `${apiUrl}/api`,
    cookieKey: 'a-key-for-cookies-of-at-least-32-characters',
    deviceCodeKey: Buffer.alloc(32, 5).toString('base64'),
    allowsRegistration: false,
    allowsLoopbackClients: false,
    secrets: {
      environment: Object.assign(options.environment ?? {}, { [secretVariable]: companyClient.secret, MACHINE_SECRET: machineSecret }),
    },
    ...options.people,
  };
  const { database } = gateway;
  const { sealing } = options;
  const openRing = async (name: SealedName, master: string) => {
    if (!sealing) return undefined;
    const ring = await openSealRing({ database, name, master, logger, ...sealing });
    return { ring, kept: keepSealed({ database, ring, logger, ...sealing }) };
  };
  const pseudonyms = await openRing('people', auditKey);
  const grants = await openRing('grants', grantKey);
  const audit = pseudonyms
    ? createAuditLog({ database, process: 'test', key: auditKey, peopleKeys: pseudonyms.ring.keys('audit-people') })
    : openAuditLog(database);
  const unknownCallers = createRefusalCounter({ write: (events) => audit.append(database, events), newDecisionId: () => 'dec_unknown' });
  const rotatingKeys = options.rotatesKeys ? await rotateSigningKeys({ database, sealingKey, logger, pollMs: 100 }) : undefined;
  const refusedKeys = await watchRefusedKeys({ database, logger });
  const issuer = await startIssuer(
    {
      port: issuerPort,
      issuerUrl,
      resourceBase: gateway.publicUrl,
      signingKeys,
      workers: { joinKey },
      people,
      backends: {
        gatewayKey: credentialKeyOf(gateway.config.resultKey),
        grantKey,
        ...(grants ? { keysFor: grants.ring.keys } : {}),
        secrets: people.secrets,
      },
    },
    {
      agents: {
        findForToken: async (id) =>
          (await createAgentDirectory({ database, mayUse: () => true }).findForToken(id)) ?? (id === agentId ? runningAgent : undefined),
      },
      audit,
      workerKeys: createWorkerKeys(database),
      database,
      unknownCallers,
      rotatingKeys,
      ...(options.guardedFetch ? { guardedFetch: options.guardedFetch } : {}),
      logger,
    },
  );
  // no thread runs before Rego is asked
  const regoPool = createRegoPool();
  const api = await startApi(
    {
      port: apiPort,
      publicUrl: apiUrl,
      gatewayUrl: gateway.publicUrl,
      issuer: { issuerUrl, jwksUri },
      dataDirectory: '/tmp',
      profile: 'dev',
    },
    {
      database,
      audit,
      unknownCallers,
      auditPublicKey: { kty: 'OKP', crv: 'Ed25519', x: '' },
      verifyAudit: () => Promise.reject(new Error('no test of logins verifies the audit')),
      approvalKeys,
      contentStore: createContentStore(database, deriveContentKeys(Buffer.alloc(32, 7).toString('base64'), 'content')),
      targetPorts: { of: () => undefined },
      temporal: recordingTemporal().port,
      authorize: async () => ({ effect: 'allow', decisionId: 'dec_yes', policies: [] }),
      validatePolicies: () => ({ ok: true }),
      rego: { compile: precompiledRego, pool: regoPool, inForce: createRegoPolicies({ pool: regoPool, now: () => performance.now() }) },
      signPolicies: () => 'signed',
      logger,
      clock: () => new Date(),
      refusedKeys,
    },
  );

  const defaultRedirect = 'http://127.0.0.1:5/callback';

  /** An authorization request of a client, with its own PKCE verifier and state; `changes` spoil it, undefined takes one out. */
  const request = (resource: string | string[], changes: Record<string, string | undefined> = {}) => {
    const verifier = randomBytes(32).toString('base64url');
    const state = randomBytes(16).toString('base64url');
    const parameters: Record<string, string | undefined> = {
      client_id: commandLineClientId,
      response_type: 'code',
      redirect_uri: defaultRedirect,
      state,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      ...changes,
    };
    const url = new URL(`${issuerUrl}/auth`);
    for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value);
    for (const each of [resource].flat()) url.searchParams.append('resource', each);
    return { url: url.href, verifier, state, redirectUri: parameters.redirect_uri ?? '', clientId: parameters.client_id ?? '' };
  };

  /** Asks the token endpoint. */
  const token = async (parameters: Record<string, string>, headers: Record<string, string> = {}) => {
    const response = await fetch(`${issuerUrl}/token`, { method: 'POST', body: new URLSearchParams(parameters), headers });
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
    return { status: response.status, body: (await response.json()) as any };
  };

  const isAt = (address: string) => (url: string) => url.startsWith(address);

  /** Goes through the company's login page as an employee, to whatever page comes after it. */
  const passLogin = async (
    browser: Browser,
    url: string,
    employee: string,
    until: (url: string) => boolean = () => false,
  ): Promise<Page> => {
    const page = await browser.open(url, until);
    if (!page.url.startsWith(company.issuer)) return page;
    return browser.open(`${page.url}?employee=${employee}`, until);
  };

  /** Everything up to the client's redirect address, allowing what is asked. @returns its parameters */
  const authorize = async (begun: ReturnType<typeof request>, employee: string, browser = createBrowser()): Promise<URLSearchParams> => {
    const back = isAt(begun.redirectUri);
    const page = await passLogin(browser, begun.url, employee, back);
    const end = back(page.url) ? page : await browser.submit(page, { answer: 'allow' }, back);
    if (!back(end.url)) throw new Error(`ended at ${end.url}: ${end.status} ${end.html}`);
    return new URL(end.url).searchParams;
  };

  /** Turns the code of an answer into tokens. */
  const redeem = (begun: ReturnType<typeof request>, answer: URLSearchParams, changes: Record<string, string> = {}) =>
    token({
      grant_type: 'authorization_code',
      code: answer.get('code') ?? '',
      code_verifier: begun.verifier,
      redirect_uri: begun.redirectUri,
      client_id: begun.clientId,
      ...changes,
    });

  /** A whole login for one resource. */
  const logIn = async (employee: string, resource: string, browser = createBrowser()) => {
    const begun = request(resource);
    const { status, body } = await redeem(begun, await authorize(begun, employee, browser));
    if (status !== 200) throw new Error(`no token: ${status} ${JSON.stringify(body)}`);
    return body as { access_token: string; refresh_token: string; expires_in: number; scope: string };
  };

  /** Posts a JSON-RPC message to the gateway. */
  const call = async (path: string, accessToken: string, method = 'tools/list', params: object = {}) => {
    const response = await fetch(`${gateway.publicUrl}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${accessToken}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const challenge = response.headers.get('www-authenticate');
    return { status: response.status, challenge, text: await response.text() };
  };

  /** The same as a client of 2026-07-28, with what it declares that it can do. */
  const callModern = async (
    path: string,
    accessToken: string,
    method: string,
    params: Record<string, unknown>,
    capabilities: object = {},
  ) => {
    const prefix = 'io.modelcontextprotocol';
    const _meta = {
      [`${prefix}/protocolVersion`]: '2026-07-28',
      [`${prefix}/clientInfo`]: { name: 'tester', version: '1' },
      [`${prefix}/clientCapabilities`]: capabilities,
    };
    const response = await fetch(`${gateway.publicUrl}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${accessToken}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
        'mcp-name': String(params.name),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta } }),
    });
    const text = await response.text();
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
    return JSON.parse(/^data: (.*"(?:result|error)".*)$/m.exec(text)?.[1] ?? text) as any;
  };

  const askApi = async (path: string, accessToken: string) => {
    const response = await fetch(`${apiUrl}/api/v1alpha1${path}`, { headers: { authorization: `Bearer ${accessToken}` } });
    // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
    return { status: response.status, challenge: response.headers.get('www-authenticate'), body: (await response.json()) as any };
  };

  const gatewayKey = credentialKeyOf(gateway.config.resultKey);
  /** What the gateway asks the issuer for, about a server as it is declared now. */
  const credentialRequest = async (name: string, principal: string) => {
    const tenancy = { org: 'default', project: 'default' };
    const server = await findResource(database, { ...tenancy, kind: 'McpServer', name });
    return { ...tenancy, server: name, uid: server?.uid, generation: server?.generation, principal, scopes: [], isRefused: false };
  };

  return {
    issuerUrl,
    gatewayKey,
    grantKey,
    credentialRequest,
    apiUrl,
    apiResource: people.apiResource,
    jwksUri,
    company,
    gateway,
    database,
    signingKeys,
    rotatingKeys,
    logLines,
    request,
    token,
    passLogin,
    authorize,
    redeem,
    logIn,
    call,
    callModern,
    askApi,
    close: async () => {
      await Promise.all([api.close(), issuer.close(), rotatingKeys?.close(), refusedKeys.close()]);
      for (const each of [pseudonyms, grants]) {
        await each?.kept.close();
        await each?.ring.close();
      }
      await gateway.close();
      await company.close();
    },
  };
};
export type RunningPeople = Awaited<ReturnType<typeof startRunningPeople>>;
