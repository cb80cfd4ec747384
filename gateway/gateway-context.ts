import type { PolicyEngine } from '../policy/engine.ts';
import type { TokenCarrier } from '../policy/prove-possession.ts';
import type { RegoPolicies } from '../policy/rego/rego-policies.ts';
import type { SourceOf } from '../policy/source-of-request.ts';
import type { ApprovalAsks } from '../store/ask-approval.ts';
import type { RefusalCounter } from '../store/audit-refusals.ts';
import type { AuditWriter } from '../store/audit-writer.ts';
import type { Database } from '../store/database.ts';
import type { DecisionFactsWriter } from '../store/decision-facts.ts';
import type { Declared } from '../store/declared.ts';
import type { OperationStore } from '../store/operations.ts';
import type { SecretSources } from '../store/secrets/references.ts';
import type { ContentKeys } from '../store/secrets/seal.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Credentials } from './credentials/credentials.ts';
import type { HttpAnswer } from './front/http-exchange.ts';
import type { GatewayConfig } from './gateway-config.ts';
import type { PolicyHooks } from './hooks/policy-hooks.ts';
import type { LabelBook } from './labels/create-label-book.ts';
import type { StormCounter } from './limits/count-storms.ts';
import type { Halts } from './limits/follow-halts.ts';
import type { Rates } from './limits/keep-rates.ts';
import type { ObserveCall } from './observe-calls.ts';
import type { Principal } from './principal.ts';

/** What every part of the gateway works with; made once by `startGateway`. */
export type GatewayContext = {
  config: GatewayConfig;
  /** This process: it holds the advisory lock of that name (`holdInstanceLock`) as long as it lives. */
  instance: string;
  database: Database;
  audit: AuditWriter;
  /** Counts and traces calls that have ended; absent where nobody asked for that. */
  observe?: ObserveCall;
  /** Refusals of callers that nobody knows. */
  unknownCallers: RefusalCounter;
  /** Where a request comes from, past the proxies that are trusted. */
  sourceOf: SourceOf;
  /** Names arguments in the audit: a keyed digest of what JSON says, whatever the order of its keys. */
  digestArguments: (value: unknown) => string;
  /** What decisions were made on, written once for all rows of the audit that refer to it. */
  decisionFacts: Pick<DecisionFactsWriter, 'note'>;
  /** Keys for one purpose: what the gateway seals, in rows and for clients. They rotate by themselves. */
  keysFor: (purpose: string) => ContentKeys;
  operations: OperationStore;
  approvals: ApprovalAsks;
  /** How often what may be called. */
  rates: Rates;
  /** Which servers are asked too often, and by whom. */
  storms: Pick<StormCounter, 'refused'>;
  /** What is halted, and what a halt would cut. */
  halts: Halts;
  /** What callers carry of all that they have read. */
  labels: LabelBook;
  policy: PolicyEngine;
  /** Where references to secrets lead. */
  secrets: SecretSources;
  /** Rego of tenants that is asked about calls that policies allow. */
  rego: RegoPolicies;
  /** Services of tenants that are asked about calls that policies allow. */
  hooks: PolicyHooks;
  /** The newest view of what is declared. */
  declared: () => Declared;
  /** Calls back after each new view of what is declared is in force, until the returned function is called. */
  onDeclared: (listener: (declared: Declared) => void) => () => void;
  /**
   * Turns an access token into who calls; the audience must be this very endpoint, and a token that is bound to a key needs how it came.
   * Throws at once, or by the promise.
   */
  authenticate: (authorization: string | undefined, audience: string, carrier?: TokenCarrier) => Principal | Promise<Principal>;
  /** What protected servers are sent: never what callers came with. */
  credentials: Credentials;
  /** Remembers who is being answered: an answer to an agent ends with its run. */
  serving: (principal: Principal, response: HttpAnswer) => void;
  logger: Logger;
  /** Milliseconds since the epoch. */
  now: () => number;
};
