import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import type { RootKeyChange } from '../../store/secrets/root-versions.ts';
import type { Metrics } from '../../telemetry/process-metrics.ts';
import type { Tracing, TracingOptions } from '../../telemetry/tracing.ts';
import type { Config } from '../config.ts';

/** First message to a process: keys come this way, so that neither arguments nor the environment hold any. */
export type ConfigMessage = {
  type: 'config';
  config: unknown;
  logLevel: Config['logLevel'];
  /** 32 bytes in base64, the same for all: by it one secret has one fingerprint in all logs. */
  redactionKey: string;
  /** What became of root keys since the platform was started, where this is not the first process of its name. */
  rootKeys: readonly RootKeyChange[];
  /** Where its spans go, where somebody takes them. */
  tracing?: TracingOptions;
};

/** Root keys have got other versions, or lost some. */
export type RootKeysMessage = { type: 'root-keys'; changes: readonly RootKeyChange[] };

/** A process asks the supervisor, who may start programs, for an entry of the keychain; the answer has the same id. */
export type KeychainQuestion = { type: 'keychain'; id: number; account: string };
export type KeychainAnswer = { type: 'keychain'; id: number } & ({ value: string } | { failure: string });

/** Asks a process what it measures. */
export type MeasureMessage = { type: 'measure'; number: number };
/** A metric and its series, as one process has them. */
export type MeasuredMetric = MetricObjectWithValues<MetricValue<string>>;

/** What a worker gets when it asks: a token by which it may join the issuer once. */
export type JoinTokenMessage = { type: 'join-token'; token: string };

/** What a process says: that it serves, or one line that says why it cannot; what it measures; that it wants a join token, or other workers. */
export type ProcessMessage =
  | { type: 'ready' }
  | { type: 'failed'; detail: string }
  | { type: 'join-token-wanted' }
  | { type: 'worker-restart-wanted' }
  | { type: 'measured'; number: number; metrics: MeasuredMetric[] };

/** Where a process counts what it does, and where its spans go. */
export type ProcessTelemetry = { metrics: Metrics; tracing?: Tracing };

/** The egress process asks for the secret of a declared server, and the supervisor answers; `value` is missing where it cannot be read. */
export type SecretRequest = { type: 'secret-wanted'; id: number; org: string; project: string; server: string; variable: string };
export type SecretAnswer = { type: 'secret'; id: number; value?: string; detail?: string };

/** What a process of ours is made of once it runs. */
export type RunningProcess = { close(): Promise<void> };
