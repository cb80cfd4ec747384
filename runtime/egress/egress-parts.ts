import type { LookupAddress } from 'node:dns';
import type { Logger } from '../../telemetry/logger.ts';
import type { Certified } from './make-certificate.ts';
import type { ServerIdentity } from './reachable-server.ts';
import type { RefusalReason } from './refusal.ts';

/** A connection that a server asked for. `kind`: passed on unseen, opened for its secrets, or plain HTTP. */
export type Attempt = {
  decisionId: string;
  server: ServerIdentity;
  host: string;
  port: number;
  kind: 'tunnel' | 'opened' | 'plain';
};

/** How a connection was: bytes by our side of the upstream, names of the variables whose secrets went along, why it was cut off if it was. */
export type ConnectionOutcome = {
  address?: string;
  sentBytes: number;
  receivedBytes: number;
  durationMs: number;
  requests: number;
  secrets: readonly string[];
  reason?: RefusalReason;
};

/** Where connections are put on record. */
export type EgressRecorder = {
  /** Resolves when it is on record; nothing is connected to before. */
  opening(attempt: Attempt): Promise<void>;
  /** What was refused before anything was connected to, or within a connection. */
  refused(attempt: Attempt, reason: RefusalReason): void;
  closed(attempt: Attempt, outcome: ConnectionOutcome): void;
};

/** All addresses of a name. */
export type LookUp = (host: string) => Promise<LookupAddress[]>;

/** What a proxy works with. */
export type EgressParts = {
  authority: Certified;
  /** Certificate authorities (PEM) that hosts may have beside the public ones. */
  authorities: readonly string[];
  /** Ports of the platform itself on this machine: no rule reaches them. */
  closedPorts: ReadonlySet<number>;
  recorder: EgressRecorder;
  /** Reads the secret that a server's variable stands for. @throws {PlatformError} `secret_unavailable` */
  readSecret(server: ServerIdentity, variable: string): Promise<string>;
  lookUp: LookUp;
  newDecisionId(): string;
  now(): number;
  logger: Logger;
};
