import type { PolicyEngine } from '../policy/engine.ts';
import type { AuditWriter } from '../store/audit-writer.ts';
import type { Database } from '../store/database.ts';
import type { Declared } from '../store/declared.ts';
import type { OperationStore } from '../store/operations.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { GatewayConfig } from './gateway-config.ts';
import type { Principal } from './principal.ts';

/** What every part of the gateway works with; made once by `startGateway`. */
export type GatewayContext = {
  config: GatewayConfig;
  database: Database;
  audit: AuditWriter;
  operations: OperationStore;
  policy: PolicyEngine;
  /** The newest view of what is declared. */
  declared: () => Declared;
  /** Turns a bearer token into who calls; the audience must be this very endpoint. */
  authenticate: (authorization: string | undefined, audience: string) => Promise<Principal>;
  logger: Logger;
  /** Milliseconds since the epoch. */
  now: () => number;
};
