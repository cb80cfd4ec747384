import { homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { policyPublicKey } from '../../store/secrets/policy-signature.ts';
import { approvalKeyOf, credentialKeyOf, deriveKey, redactionKeyOf } from '../../store/secrets/seal.ts';
import type { ProcessConfigs, ProcessName, WorkerPool } from '../processes/process-configs.ts';
import { cacheFolder } from '../setup/cache-folder.mjs';
import type { SecretAnswerer } from './answer-secrets.ts';
import type { DataFolder } from './data-folder.ts';
import type { Keys } from './keys.ts';
import { logFileOf } from './log-file.ts';
import { type NodePartOptions, nodePart } from './node-part.ts';
import type { Part } from './part.ts';
import { peopleConfigs } from './people-config.ts';
import type { PlatformOptions } from './platform-options.ts';
import type { Ports } from './ports.ts';
import { type PostgresPlace, postgresCommand, postgresUrl, waitForPostgres } from './postgres.ts';
import { addressesOf } from './ready-file.ts';
import { issuerUrlOf } from './seed.ts';
import { serverPart } from './server-part.ts';
import { keepTemporalFolder, prepareTemporalFolder, temporalCommand, waitForTemporal } from './temporal.ts';
import type { Account } from './unprivileged-account.ts';
import { type WorkersOfUp, workersOfUp } from './workers-of-up.ts';

/** Recovery after a kill may have a gigabyte of log to replay. */
const serverDeadlineMs = 60_000;

/** What the parts of one platform are made from. */
export type PartsContext = {
  folder: DataFolder;
  ports: Ports;
  keys: Keys;
  options: PlatformOptions;
  /** As our processes use it. */
  databaseUrl: string;
  temporalAddress: string;
  /** Whom the egress process turns into; undefined: it shares our user id. */
  egressAccount: Account | undefined;
  secrets: Pick<SecretAnswerer, 'answer'>;
  restartWorkers: () => void;
};

export const postgresPart = ({ folder, ports }: Pick<PartsContext, 'folder' | 'ports'>, place: PostgresPlace): Part =>
  serverPart({
    name: 'postgres',
    port: ports.postgres,
    stopSignal: 'SIGINT', // fast shutdown: connections are closed, and nothing has to be recovered
    stopGraceMs: 1_500,
    command: () => postgresCommand(place),
    waitUntilReady: (signal) => waitForPostgres(postgresUrl(place, 'postgres'), { deadlineMs: serverDeadlineMs, signal }),
    logFile: logFileOf(folder.logs, 'postgres'),
  });

export const temporalPart = ({ folder, ports, options }: Pick<PartsContext, 'folder' | 'ports' | 'options'>): Part =>
  serverPart({
    name: 'temporal',
    port: ports.temporal,
    stopSignal: 'SIGTERM',
    stopGraceMs: 1_500,
    command: () => temporalCommand({ file: prepareTemporalFolder(folder.temporal), port: ports.temporal, home: homedir() }),
    waitUntilReady: async (signal) => {
      const place = { address: `127.0.0.1:${ports.temporal}`, namespace: options.config.temporalNamespace };
      await waitForTemporal(place, { deadlineMs: serverDeadlineMs, signal });
      keepTemporalFolder(folder.temporal);
    },
    logFile: logFileOf(folder.logs, 'temporal'),
  });

/** What each of our processes is told; a key goes to those alone that need it. */
const configsOf = (context: PartsContext, workers: WorkersOfUp): ProcessConfigs => {
  const { folder, ports, keys, options, databaseUrl, temporalAddress } = context;
  const { url, apiUrl } = addressesOf(ports);
  const issuerUrl = issuerUrlOf(ports);
  const jwksUri = `${issuerUrl}/jwks`;
  const { people, devIdp } = peopleConfigs(context);
  const { internal, contentKey, gatewayKey, issuerKey, signingKeys, auditSigningKey } = keys;
  const auditKey = deriveKey(contentKey, 'audit');
  const { profile, config, tuning = {} } = options;
  const patience = tuning.patience ? { patience: tuning.patience } : {};
  const temporal = { temporalAddress, temporalNamespace: config.temporalNamespace };
  return {
    control: {
      ...temporal,
      databaseUrl,
      contentKey,
      approvalKey: approvalKeyOf(gatewayKey),
      auditKey,
      auditSigningKey,
      checkpointFile: folder.checkpoints,
      policySecret: internal.personTokens,
      ...(config.opaProgram === undefined ? {} : { opaProgram: config.opaProgram }),
      secrets: people.secrets,
      secretStores: config.secretStores,
      signingKeysSeal: issuerKey,
      ...patience,
      issuer: {
        port: ports.issuer,
        issuerUrl,
        resourceBase: url,
        trustedProxies: config.trustedProxies,
        signingKeys,
        workers: workers.trust,
        people,
        backends: { gatewayKey: credentialKeyOf(gatewayKey), grantKey: deriveKey(contentKey, 'grants'), secrets: people.secrets },
      },
      ...(devIdp ? { devIdp } : {}),
      api: {
        port: ports.api,
        publicUrl: apiUrl,
        gatewayUrl: url,
        issuer: { issuerUrl, jwksUri },
        dataDirectory: folder.root,
        profile,
        trustedProxies: config.trustedProxies,
      },
    },
    gateway: {
      port: ports.gateway,
      publicUrl: url,
      databaseUrl,
      issuerUrl,
      jwksUri,
      apiUrl,
      trustedProxies: config.trustedProxies,
      hostUrl: `http://127.0.0.1:${ports.host}`,
      hostKey: internal.gatewayToHost,
      localModelUrl: `http://127.0.0.1:${ports['local-model']}`,
      localModelKey: internal.gatewayToLocalModel,
      resultKey: gatewayKey,
      auditKey,
      policyPublicKey: policyPublicKey(internal.personTokens),
      profile,
      environment: config.environment,
      privateDirectory: folder.root,
      privatePaths: config.privatePaths,
      secretStores: config.secretStores,
      ...tuning.gateway,
    },
    host: {
      port: ports.host,
      key: internal.gatewayToHost,
      allowUncaged: options.allowUncaged,
      packageRoot: fileURLToPath(new URL('../../', import.meta.url)),
      nodePath: process.execPath,
      logDirectory: `${folder.logs}/servers`,
      privatePaths: [folder.root],
      openPaths: [folder.runs],
      egressDirectory: folder.egress,
    },
    egress: {
      databaseUrl,
      auditKey,
      directory: folder.egress,
      authority: keys.egressAuthority,
      closedPorts: Object.values(ports),
      ...(context.egressAccount ? { account: context.egressAccount } : {}),
    },
    worker: {
      ...temporal,
      databaseUrl,
      contentKey,
      gatewayUrl: url,
      issuerUrl,
      ...(workers.proof ? { proof: workers.proof } : {}),
      apply: {
        ...{ auditKey, secrets: people.secrets, secretStores: config.secretStores },
        approvalKey: approvalKeyOf(gatewayKey),
        policyPublicKey: policyPublicKey(internal.personTokens),
        mayApproveOwn: profile === 'solo',
        ...patience,
      },
    },
    'local-model': { port: ports['local-model'], key: internal.gatewayToLocalModel, cacheDirectory: cacheFolder() },
  };
};

/** How long each may take to end: the gateway lets calls that run come to their end. */
const stopGraceMs: Record<ProcessName, number> = {
  worker: 2_000,
  gateway: 5_200,
  control: 2_500,
  'local-model': 1_000,
  host: 800,
  egress: 1_000,
};

/** The worker process beside the first one, where some kinds of work have one of their own. */
export const workerApart = 'worker-apart';
const workerPools: readonly WorkerPool[] = ['control', 'model', 'tool', 'apply'];

/** Our own processes, in the order in which they are stopped; they are started together, and wait for each other. */
export const processParts = (context: PartsContext): Part[] => {
  const { folder, ports, keys, options } = context;
  const workers = workersOfUp(options.config);
  const configs = configsOf(context, workers);
  const redactionKey = redactionKeyOf(keys.contentKey);
  const part = <Name extends ProcessName>(
    name: Name,
    port?: number,
    more: Pick<NodePartOptions<Name>, 'answer'> & { config?: ProcessConfigs[Name] } = {},
  ): Part =>
    nodePart(name, {
      config: configs[name],
      ...more,
      ...(port === undefined ? {} : { port }),
      stopGraceMs: stopGraceMs[name],
      logFile: logFileOf(folder.logs, name),
      logLevel: options.config.logLevel,
      redactionKey,
      environment: options.config.environment,
      tracing: options.config.tracing,
      makeJoinToken: name === 'worker' ? workers.makeJoinToken : undefined,
      restartWorkers: name === 'control' ? context.restartWorkers : undefined,
    });
  const apart = options.tuning?.workersApart ?? [];
  const together = workerPools.filter((pool) => !apart.includes(pool));
  return [
    part('worker', undefined, { config: { ...configs.worker, pools: together } }),
    ...(apart.length === 0 ? [] : [{ ...part('worker', undefined, { config: { ...configs.worker, pools: apart } }), name: workerApart }]),
    part('gateway', ports.gateway),
    part('control', ports.api),
    part('local-model', ports['local-model']),
    part('host', ports.host),
    part('egress', undefined, { answer: context.secrets.answer }),
  ];
};

/** Who is stopped together, in turn: who calls before who is called. */
export const stopOrder: readonly (readonly string[])[] = [
  ['worker', workerApart],
  ['gateway', 'control', 'local-model'],
  ['host'],
  ['egress'],
  ['temporal', 'postgres'],
];
