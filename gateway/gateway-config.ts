import type { SecretStoreSettings } from '../store/secrets/settings.ts';

/** What the gateway is told at its start. Keys come by a private channel, never by arguments or the environment. */
export type GatewayConfig = {
  port: number;
  /** `http://127.0.0.1:7420`: the base of every audience. */
  publicUrl: string;
  databaseUrl: string;
  issuerUrl: string;
  jwksUri: string;
  /** Where `/api/*` and `/registry/*` are passed on to. */
  apiUrl: string;
  /** Addresses or CIDR ranges of proxies that are believed about where requests come from; none unless said. */
  trustedProxies?: readonly string[];
  hostUrl: string;
  hostKey: string;
  localModelUrl: string;
  localModelKey: string;
  /** 32 bytes in base64: seals the outcomes of operations. */
  resultKey: string;
  /** 32 bytes in base64, the same for all processes of an installation: seals who stands behind the pseudonyms of the audit. */
  auditKey: string;
  /** SPKI in base64: what published policies are verified with. Without it none are taken over. */
  policyPublicKey?: string;
  profile: 'dev' | 'solo' | 'production';
  /** The process's environment, where providers' keys may be. */
  environment: Readonly<Record<string, string | undefined>>;
  /** The installation's data folder: no secret reference may lead into it. */
  privateDirectory?: string;
  /** Files of the installation itself that none leads to either. */
  privatePaths?: readonly string[];
  /** Vault and Kubernetes, where references may lead to them. */
  secretStores?: SecretStoreSettings;
  /** How often the callers of open streams are authenticated again (10,000 ms). */
  streamCheckMs?: number;
  /** How often it is looked whether the runs whose agents are being answered have ended, beside what the database tells (1,000 ms). */
  runCheckMs?: number;
  /** How often what is declared is read anew, beside what the database tells (5,000 ms). */
  declaredPollMs?: number;
  /** How long the last good policies stand in for a publication that is gone or damaged, before everything is denied (3,600,000 ms). */
  policyGraceMs?: number;
  /** How often servers are looked at again (30,000 ms). */
  serverLookMs?: number;
  /** How keys rotate: how often they are read (1,000 ms), how long after it was made one seals (10,000 ms), how often rows are sealed anew (5,000 ms). */
  sealing?: { pollMs?: number; sealsAfterMs?: number; everyMs?: number };
  /** How a stop goes: for how long calls are taken after readiness is off (0 ms), and how long running ones may take to end (5,000 ms). */
  drain?: { noticeMs?: number; longestMs?: number };
};
