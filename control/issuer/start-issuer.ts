import { type EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JWK } from 'jose';
import type { Provider } from 'oidc-provider';
import { createSourceOf } from '../../policy/source-of-request.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { AuditLog } from '../../store/audit-log.ts';
import type { RefusalCounter } from '../../store/audit-refusals.ts';
import type { Database } from '../../store/database.ts';
import { sweepIssuerRecords } from '../../store/issuer-records.ts';
import { createGiveBackRate, createRateWindows } from '../../store/rate-windows.ts';
import type { WorkerKeys } from '../../store/worker-keys.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { createAdmission } from './admit-person.ts';
import type { AgentDirectory } from './agent-directory.ts';
import { createCompanyKeys } from './company-keys.ts';
import { createIssuerProvider } from './create-issuer-provider.ts';
import { createWorkerCheck } from './create-worker-check.ts';
import { createEntryRecords } from './entry-records.ts';
import { registerRunTokenExchange } from './exchange-run-token.ts';
import { guardRequests } from './guard-requests.ts';
import { createGuardedFetch, type GuardedFetch } from './guarded-fetch.ts';
import { createInboundGrants } from './inbound-grants.ts';
import { interactionRoutes } from './interaction-routes.ts';
import { createTokenMaker } from './issue-token.ts';
import type { IssuerConfig } from './issuer-config.ts';
import { registerWorkerJoin } from './join-worker.ts';
import { limitCodeGuesses } from './limit-code-guesses.ts';
import { peopleFeatures } from './people-features.ts';
import { createKeyProof } from './prove-key.ts';
import { jwtBearerGrant } from './read-assertion.ts';
import { recordLogouts } from './record-logouts.ts';
import type { SigningKeys } from './rotate-signing-keys.ts';
import { assertionKeeper, startBackends } from './start-backends.ts';
import { createUpstreamLogin } from './upstream-login.ts';

const closeGraceMs = 2_000;
const sweepIntervalMs = 10 * 60_000;

const wrong = (what: string) => new PlatformError('input_invalid', `The issuer cannot start: ${what}.`);

const checkConfig = ({ issuerUrl, resourceBase, workers, people }: IssuerConfig): void => {
  if (new URL(issuerUrl).origin !== issuerUrl) throw wrong('issuerUrl has to be an origin, without a path or a slash at the end');
  if (new URL(resourceBase).href.replace(/\/$/, '') !== resourceBase)
    throw wrong('resourceBase has to be a plain URL without a slash at the end');
  if (workers.joinKey !== undefined && workers.joinKey.length < 32) throw wrong('the key of join tokens has fewer than 32 characters');
  if (people && people.cookieKey.length < 32) throw wrong('the key of its cookies has fewer than 32 characters');
};

/** @returns the `kid` of the key that signs */
const checkKeys = (signingKeys: readonly JWK[]): { currentKid: string } => {
  const isUsable = (key: JWK) => key.kty === 'EC' && key.crv === 'P-256' && key.d !== undefined && key.kid !== undefined;
  const currentKid = signingKeys[0]?.kid;
  if (currentKid === undefined || !signingKeys.every(isUsable)) throw wrong('it needs private P-256 signing keys, each with a kid');
  return { currentKid };
};

export type IssuerDependencies = {
  agents: AgentDirectory;
  /** Where it is put on record who came in; without it, as without a database, nobody is. */
  audit?: AuditLog;
  workerKeys: WorkerKeys;
  clock?: (() => Date) | undefined;
  database?: Database;
  guardedFetch?: GuardedFetch;
  logger: Logger;
  /** Keys that change while the issuer runs; those of the configuration without them. */
  rotatingKeys?: SigningKeys | undefined;
  /** Refusals of callers that nobody knows. */
  unknownCallers?: RefusalCounter;
};

/** Refusals reach the log with their detail; requests, which hold secrets, do not. */
const logOutcomes = (provider: Provider, logger: Logger): void => {
  provider.on('grant.error', (context, error) => {
    // a machine that brings its own token is not at its end here
    if (context.oidc.client === undefined && context.oidc.body?.grant_type === jwtBearerGrant) return;
    logger.warn({ event: 'token-request-refused', code: error.error, detail: error.error_detail ?? error.error_description }, 'refused');
  });
  provider.on('server_error', (_context, error) => {
    logger.error({ event: 'token-request-failed', err: error.cause ?? error }, 'the issuer failed');
  });
  // Koa prints to the console where nobody listens; a caller that went away ends here too
  const koa: EventEmitter = provider;
  koa.on('error', (error: Error) => logger.error({ event: 'issuer-failed', err: error }, 'the issuer failed'));
};

/**
 * Starts the issuer on 127.0.0.1: token exchange for agent runs at `/token`, keys at `/jwks`, RFC 8414 metadata at the root; and, where
 * the configuration has people, their logins at `/auth`. It is the only holder of signing keys. Without people it stores nothing but which
 * workers joined.
 * @param dependencies.agents - looks up the agent that a token is asked for
 * @param dependencies.workerKeys - which workers joined, and what of them was used up
 * @param dependencies.database - where logins are kept; needed for people
 * @param dependencies.guardedFetch - fetches the documents of clients; one that never leaves the public internet by default
 * @param dependencies.clock - time of `iat` and `exp`; the machine's by default
 * @returns the port it listens on, and `close`, which ends within two seconds
 * @throws {PlatformError} `port_taken`, `input_invalid` for a configuration it cannot work with
 */
export const startIssuer = async (
  config: IssuerConfig,
  { agents, audit, clock = () => new Date(), database, guardedFetch, logger, rotatingKeys, unknownCallers, workerKeys }: IssuerDependencies,
): Promise<{ port: number; close(): Promise<void> }> => {
  checkConfig(config);
  const { issuerUrl, resourceBase, people, backends } = config;
  const isForPeople = people !== undefined && database !== undefined;
  const fetchDocument = guardedFetch ?? createGuardedFetch({ allowsLoopback: people?.allowsLoopbackClients ?? false });
  const sourceOf = createSourceOf(config.trustedProxies);
  const records = database && audit && unknownCallers ? createEntryRecords({ database, audit, unknownCallers, sourceOf }) : undefined;
  const admission = isForPeople ? createAdmission({ database, people, issuerUrl, keys: createCompanyKeys() }) : undefined;
  const login = isForPeople
    ? createUpstreamLogin({ database, issuerUrl, people, keepAssertion: backends && assertionKeeper(database, backends) })
    : undefined;
  const keysNow = (): readonly JWK[] => rotatingKeys?.current() ?? config.signingKeys;
  const credentials =
    backends && database
      ? startBackends(backends, {
          ...{ database, agents, audit, guardedFetch: fetchDocument, issuerUrl, clock, logger },
          signingKey: () => keysNow()[0] as JWK, // `checkKeys` has seen that there is one
          people: login && people && { login, cookieKey: people.cookieKey },
        })
      : undefined;

  const { joinKey } = config.workers;
  const checkWorker = createWorkerCheck(config.workers, { issuerUrl, keys: workerKeys, clock });

  /** The library takes its keys once, so other keys are another one of it; what it remembers stands in the database. */
  const answerWith = (signingKeys: readonly JWK[]): ReturnType<Provider['callback']> => {
    const { currentKid } = checkKeys(signingKeys);
    const withKeys = { ...config, signingKeys: [...signingKeys] };
    const provider = createIssuerProvider(
      withKeys,
      isForPeople ? peopleFeatures(withKeys, { people, database, guardedFetch: fetchDocument }) : undefined,
    );
    provider.use(
      guardRequests({
        issuerUrl,
        hasBackends: credentials !== undefined,
        people: isForPeople ? { ...people, resourceBase } : undefined,
      }),
    );
    if (isForPeople)
      provider.use(
        limitCodeGuesses({
          provider,
          take: createRateWindows(database),
          giveBack: createGiveBackRate(database),
          records,
          sourceOf,
          logger,
        }),
      );
    for (const middleware of credentials?.middleware ?? []) provider.use(middleware);
    if (login && isForPeople)
      provider.use(
        interactionRoutes({
          ...{ provider, database, login, people, issuerUrl, records, logger },
          ...(credentials?.onLogin ? { onOtherLogin: credentials.onLogin } : {}),
        }),
      );
    const places = { gatewayUrl: resourceBase, apiResource: people?.apiResource ?? '' };
    const inbound =
      admission &&
      database &&
      createInboundGrants({
        provider,
        admission,
        issue: createTokenMaker({ provider, database, places, kid: currentKid }),
        proveKey: createKeyProof({ database, issuerUrl, clock }),
        places,
        records,
        clock,
        logger,
      });
    if (inbound) provider.use(inbound.answerWorkloads);
    registerRunTokenExchange(provider, { ...config, currentKid }, { agents, checkWorker, clock, logger, otherwise: inbound?.otherwise });
    if (joinKey !== undefined) registerWorkerJoin(provider, { joinKey, keys: workerKeys, clock, logger });
    logOutcomes(provider, logger);
    if (records) recordLogouts(provider, records, logger);
    return provider.callback();
  };
  let answer = answerWith(keysNow());
  rotatingKeys?.onChange((keys) => {
    answer = answerWith(keys);
  });
  const sweep = database ? setInterval(() => void sweepIssuerRecords(database).catch(() => undefined), sweepIntervalMs) : undefined;

  const server = createServer({ headersTimeout: 10_000, requestTimeout: 15_000 }, (request, response) => void answer(request, response));
  server.listen(config.port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new PlatformError('port_taken', `The issuer cannot listen on 127.0.0.1:${config.port}; stop what does, or choose another port.`, {
      cause,
    });
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      clearInterval(sweep);
      await credentials?.close();
      const closed = once(server, 'close');
      server.close();
      server.closeIdleConnections();
      const force = setTimeout(() => server.closeAllConnections(), closeGraceMs);
      await closed;
      clearTimeout(force);
    },
  };
};
