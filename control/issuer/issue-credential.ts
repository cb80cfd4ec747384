import type { JWK } from 'jose';
import { type Configuration, clientCredentialsGrant, genericGrantRequest } from 'openid-client';
import type { BackendCredential, CredentialRequest } from '../../schema/backend-credential.ts';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { Database } from '../../store/database.ts';
import { forgetSecret, resolveSecret } from '../../store/secrets/references.ts';
import type { AgentDirectory } from './agent-directory.ts';
import type { AssertIdentity } from './assert-identity.ts';
import { createWorkloadAsserter } from './assert-workload.ts';
import type { BackendsConfig } from './backends-config.ts';
import type { BindToken } from './bind-token.ts';
import { configurationFor, declaredClient, unknownClient } from './client-configuration.ts';
import type { Authorization, FindAuthorization } from './create-authorization-finder.ts';
import { credentialOf, tokenFailure } from './credential-of.ts';
import { tokenExchangeGrant } from './exchange-run-token.ts';
import { type Caller, findCaller } from './find-caller.ts';
import {
  findProtectedServer,
  isOfKind,
  type OfKind,
  type ProtectedServer,
  secretOwnerOf,
  type TellCredentials,
} from './protected-server.ts';
import { stateCaller } from './state-caller.ts';
import type { GrantUse } from './use-grant.ts';
import { wantedScopes } from './wanted-scopes.ts';

const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const jwtType = 'urn:ietf:params:oauth:token-type:jwt';
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token';
/** A secret is read again so often: whoever changes it changes it everywhere. */
const staticLifetimeMs = 30_000;

export type IssueParts = {
  database: Database;
  agents: AgentDirectory;
  config: Pick<BackendsConfig, 'secrets'>;
  issuerUrl: string;
  signingKey: () => JWK;
  findAuthorization: FindAuthorization;
  bind: BindToken;
  tell: TellCredentials;
  clock: () => Date;
  /** Absent where no people log in. */
  grants?: GrantUse | undefined;
  assertIdentity?: AssertIdentity | undefined;
};

type Bound = OfKind<'clientCredentials'> | OfKind<'tokenExchange'> | OfKind<'idJag'> | OfKind<'workloadIdentity'>;
type Asked = Pick<CredentialRequest, 'scopes' | 'metadataUrl' | 'isRefused'>;

/**
 * Makes what gets credentials for MCP servers, each for one server and one caller (or for the platform itself, where the server does not
 * tell its callers apart).
 * @throws {PlatformError} `credential_refused`, `server_drifted`, `not_permitted`, `not_found`, `secret_unavailable`, `server_unavailable`
 */
export const createCredentialIssuer = (parts: IssueParts) => {
  const { database, agents, config, findAuthorization, bind, tell, issuerUrl, clock } = parts;

  const assertWorkload = createWorkloadAsserter({ secrets: config.secrets, issuerUrl, signingKey: parts.signingKey, clock });

  const fromSecret = async (server: OfKind<'static'>, isRefused: boolean): Promise<BackendCredential> => {
    const { secret, header, scheme } = server.auth;
    const owner = secretOwnerOf(server, 'auth.secret');
    // it may have been changed where it is kept
    if (isRefused) forgetSecret(secret, config.secrets, owner);
    const value = await resolveSecret(secret, config.secrets, owner);
    if (/[^\x20-\x7e]/.test(value))
      throw new PlatformError('secret_unavailable', `The secret of the MCP server ${server.name} is no text for a header.`);
    await tell(server, 'True', 'StaticSecret', 'A static secret is sent, which says nothing of who calls; prefer another kind of `auth`.');
    return { header: header.toLowerCase(), value: scheme === '' ? value : `${scheme} ${value}`, lifetimeMs: staticLifetimeMs };
  };

  /** Everything that a request to the bound token endpoint needs. */
  const reach = async (server: Bound, { scopes, metadataUrl, isRefused }: Asked) => {
    const found = await findAuthorization(server, { bound: server.auth.issuer, metadataUrl, isAnew: isRefused });
    const { client: declared } = server.auth;
    const client = declared ? await declaredClient(server, declared, found.metadata, config.secrets) : unknownClient;
    const wanted = wantedScopes(server, scopes, found.scopes);
    const configuration = configurationFor(found.metadata, client, found.fetch);
    const { proofKey, options } = await bind(configuration, found);
    return { found, wanted, configuration, options, expected: { scopes: wanted, proofKey, isBound: found.proofs.isRequired } };
  };
  const parametersOf = ({ resource }: Authorization, wanted: readonly string[]): Record<string, string> => ({
    resource,
    ...(wanted.length > 0 ? { scope: wanted.join(' ') } : {}),
  });
  const namedAudience = ({ auth: { audience } }: OfKind<'clientCredentials'> | OfKind<'tokenExchange'>): { audience?: string } =>
    audience === undefined ? {} : { audience };
  const failing =
    (server: ProtectedServer, configuration: Configuration) =>
    (error: unknown): never => {
      throw tokenFailure(server, configuration, error);
    };

  const forPlatform = async (server: OfKind<'clientCredentials'> | OfKind<'tokenExchange'>, asked: Asked): Promise<BackendCredential> => {
    const { found, wanted, configuration, options, expected } = await reach(server, asked);
    const named = namedAudience(server);
    const parameters = { ...parametersOf(found, wanted), ...named };
    const tokens = await clientCredentialsGrant(configuration, parameters, options).catch(failing(server, configuration));
    return credentialOf(server, tokens, { ...expected, audiences: [found.resource, ...Object.values(named)] });
  };

  const byExchange = async (
    server: OfKind<'tokenExchange'>,
    caller: Caller & { kind: 'person' },
    asked: Asked,
  ): Promise<BackendCredential> => {
    const { found, wanted, configuration, options, expected } = await reach(server, asked);
    const { issuer } = found.metadata;
    const subject = `${server.org}/${caller.person}`;
    const statement = await stateCaller(
      { issuerUrl, signingKey: parts.signingKey(), clock },
      { subject, agentId: caller.agentId, audience: issuer },
    );
    const named = namedAudience(server);
    const parameters = {
      ...parametersOf(found, wanted),
      subject_token: statement,
      subject_token_type: jwtType,
      requested_token_type: accessTokenType,
      ...named,
    };
    const tokens = await genericGrantRequest(configuration, tokenExchangeGrant, parameters, options).catch(failing(server, configuration));
    const isOurs = tokens.access_token === statement;
    if (isOurs) throw new PlatformError('credential_refused', `The issuer of tokens for the MCP server ${server.name} gave ours back.`);
    return credentialOf(server, tokens, { ...expected, audiences: [found.resource, ...Object.values(named)] });
  };

  const byWorkload = async (server: OfKind<'workloadIdentity'>, asked: Asked): Promise<BackendCredential> => {
    const { found, wanted, configuration, options, expected } = await reach(server, asked);
    const assertion = await assertWorkload(server, found.metadata, asked.isRefused);
    const parameters = { ...parametersOf(found, wanted), assertion };
    const tokens = await genericGrantRequest(configuration, jwtBearerGrant, parameters, options).catch(failing(server, configuration));
    const isOurs = tokens.access_token === assertion;
    if (isOurs) throw new PlatformError('credential_refused', `The issuer of tokens for the MCP server ${server.name} gave ours back.`);
    return credentialOf(server, tokens, { ...expected, audiences: [found.resource] });
  };

  const byAssertion = async (
    server: OfKind<'idJag'>,
    personId: string | undefined,
    asked: Asked,
    assertIdentity: AssertIdentity,
  ): Promise<BackendCredential> => {
    const { found, wanted, configuration, options, expected } = await reach(server, asked);
    const scope = wanted.length > 0 ? wanted.join(' ') : undefined;
    const about = { audience: found.metadata.issuer, resource: found.resource, scope };
    const assertion = await assertIdentity(server, personId, about);
    const parameters = { ...parametersOf(found, wanted), assertion };
    const tokens = await genericGrantRequest(configuration, jwtBearerGrant, parameters, options).catch(failing(server, configuration));
    return credentialOf(server, tokens, { ...expected, audiences: [found.resource] });
  };

  const issue = async (server: ProtectedServer, asked: CredentialRequest): Promise<BackendCredential> => {
    if (isOfKind(server, 'static')) return fromSecret(server, asked.isRefused);
    if (isOfKind(server, 'clientCredentials')) return forPlatform(server, asked);
    if (isOfKind(server, 'workloadIdentity')) return byWorkload(server, asked);
    const caller = await findCaller({ database, agents }, asked.principal, server);
    if (isOfKind(server, 'tokenExchange'))
      return caller.kind === 'service' ? forPlatform(server, asked) : byExchange(server, caller, asked);
    if (isOfKind(server, 'userGrant') && parts.grants)
      return parts.grants(server, caller.kind === 'person' ? caller.person : undefined, asked);
    if (isOfKind(server, 'idJag') && parts.assertIdentity)
      return byAssertion(server, caller.kind === 'person' ? caller.person : undefined, asked, parts.assertIdentity);
    throw new PlatformError('credential_refused', `The MCP server ${server.name} has a kind of \`auth\` that this release does not know.`);
  };

  return async (asked: CredentialRequest): Promise<BackendCredential> => {
    const { org, project, server: name, uid, generation } = asked;
    const server = await findProtectedServer(database, { org, project, name });
    // a credential of the new declaration must not go to the address of the old one
    if (server.uid !== uid || server.generation !== generation)
      throw new PlatformError('conflict', `The MCP server ${name} was declared anew; make the call again.`);
    try {
      const credential = await issue(server, asked);
      if (server.auth.kind !== 'static') await tell(server, 'True', 'Issued', 'Its issuer gives tokens.');
      return credential;
    } catch (error) {
      if (isPlatformError(error) && error.code === 'server_drifted') await tell(server, 'False', 'IssuerDrifted', error.detail);
      throw error;
    }
  };
};
export type IssueCredential = ReturnType<typeof createCredentialIssuer>;
