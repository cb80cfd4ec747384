import type { JWK } from 'jose';
import { PlatformError } from '../../schema/errors.ts';
import type { AuditLog } from '../../store/audit-log.ts';
import { createBackendClientStore } from '../../store/backend-clients.ts';
import { createGrantStore } from '../../store/backend-grants.ts';
import type { Database } from '../../store/database.ts';
import { createAssertionStore } from '../../store/identity-assertions.ts';
import { type ContentKeys, deriveContentKeys } from '../../store/secrets/seal.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { AgentDirectory } from './agent-directory.ts';
import { createIdentityAsserter } from './assert-identity.ts';
import type { BackendsConfig } from './backends-config.ts';
import { createGrantBeginning } from './begin-grant.ts';
import { createTokenBinder } from './bind-token.ts';
import { connectRoutes } from './connect-routes.ts';
import { createAuthorizationFinder } from './create-authorization-finder.ts';
import { credentialRoutes } from './credential-routes.ts';
import { createGrantEnding } from './end-grant.ts';
import { createGrantEnd } from './finish-grant.ts';
import { createGrantClients } from './grant-client.ts';
import type { GuardedFetch } from './guarded-fetch.ts';
import { createCredentialIssuer } from './issue-credential.ts';
import { createAssertionKeeper, type KeepAssertion } from './keep-assertion.ts';
import { keepGrants } from './keep-grants.ts';
import { createCredentialTeller } from './protected-server.ts';
import { createGrantReach } from './reach-grant.ts';
import { createGrantRenewal } from './renew-grant.ts';
import type { UpstreamLogin } from './upstream-login.ts';
import { createGrantUse } from './use-grant.ts';

const shortestKey = 32;

const keysOf = ({ keysFor, grantKey }: BackendsConfig): ((purpose: string) => ContentKeys) =>
  keysFor ?? ((purpose) => deriveContentKeys(grantKey, purpose));

/**
 * Starts the part of the issuer that gets credentials for MCP servers: the gateway's requests, and the pages on which people connect
 * servers.
 * @param options.people - absent where nobody logs in: then there are no grants of people
 * @returns what answers those requests, how logins that began at those pages are taken, and what ends the upkeep of grants
 */
export const startBackends = (
  config: BackendsConfig,
  parts: {
    database: Database;
    agents: AgentDirectory;
    guardedFetch: GuardedFetch;
    issuerUrl: string;
    signingKey: () => JWK;
    people: { login: UpstreamLogin; cookieKey: string } | undefined;
    clock: () => Date;
    audit: Pick<AuditLog, 'append'> | undefined;
    logger: Logger;
  },
) => {
  const { database, guardedFetch, issuerUrl, people, clock, logger } = parts;
  if (config.gatewayKey.length < shortestKey)
    throw new PlatformError('input_invalid', 'The issuer cannot start: the key of the gateway is too short.');
  const store = createGrantStore(database, keysOf(config)('grants'));
  const findAuthorization = createAuthorizationFinder({ guardedFetch, clock });
  const clients = createGrantClients({
    store: createBackendClientStore(database, keysOf(config)('grants')),
    secrets: config.secrets,
    issuerUrl,
  });
  const bind = createTokenBinder();
  const reach = createGrantReach({ findAuthorization, clients });
  const refresh = createGrantRenewal({ store, reach, bind, clock, logger });
  const ending = createGrantEnding({ store, reach, logger });
  const tell = createCredentialTeller(database, clock);
  const assertions = createAssertionStore(database, keysOf(config)('assertions'));
  const assertIdentity = createIdentityAsserter({ database, store: assertions, secrets: config.secrets, clock });
  const issue = createCredentialIssuer({
    ...parts,
    ...{ config, findAuthorization, bind, tell },
    ...(people ? { grants: createGrantUse({ store, findAuthorization, refresh, issuerUrl, clock }), assertIdentity } : {}),
  });
  const forGateway = credentialRoutes({ gatewayKey: config.gatewayKey, issue, logger });
  if (!people) return { middleware: [forGateway], onLogin: undefined, close: async () => undefined };
  const { middleware, onLogin } = connectRoutes({
    ...{ database, store, issuerUrl, logger },
    ...people,
    beginning: createGrantBeginning({ database, findAuthorization, clients, ending, guardedFetch, issuerUrl }),
    finish: createGrantEnd({ database, store, findAuthorization, clients, bind, ending, issuerUrl, clock, audit: parts.audit }),
  });
  const upkeep = keepGrants({ database, store, assertions, refresh, ending, clock, logger });
  return { middleware: [forGateway, middleware], onLogin, close: upkeep.close };
};

/** Keeps of logins what servers want assertions made of. */
export const assertionKeeper = (database: Database, config: BackendsConfig): KeepAssertion =>
  createAssertionKeeper(database, createAssertionStore(database, keysOf(config)('assertions')));
