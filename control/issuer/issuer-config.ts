import type { JWK } from 'jose';
import type { BackendsConfig } from './backends-config.ts';
import type { WorkersConfig } from './create-worker-check.ts';
import type { RunTokenScope } from './decide-run-token.ts';
import type { PeopleConfig } from './people-config.ts';

/** What the issuer needs to start; it arrives over IPC, for it holds keys and a secret. */
export type IssuerConfig = {
  /** TCP port on 127.0.0.1; 0 takes a free one. */
  port: number;
  /** The `iss` of every token and the one Host that is answered, e.g. `http://127.0.0.1:7422`; an origin without a path. */
  issuerUrl: string;
  /** Every audience is a URL under it, e.g. `http://127.0.0.1:7420`; no slash at the end. */
  resourceBase: string;
  /** Addresses or CIDR ranges of proxies that are believed about where requests come from; none unless said. */
  trustedProxies?: readonly string[];
  /** Private ES256 keys with a `kid` each, where none rotate. The first one signs; the others are published alone, so that older tokens still verify. */
  signingKeys: JWK[];
  /** Which workers may ask for agents, and how they show that they are these. */
  workers: WorkersConfig;
  /** Absent where nobody logs in: then the issuer keeps no state. */
  people?: PeopleConfig;
  /** Absent where no MCP server is sent a credential. */
  backends?: BackendsConfig;
};

/** Where the issuer looks an agent up. The row decides; nothing that the worker says about an agent is believed. */
export type AgentDirectory = {
  /**
   * @param agentId - `org/project/fleet/run/stage/role/ordinal`, as the worker sent it
   * @throws when the store does not answer; the worker then gets a retryable 503
   */
  findForToken(agentId: string): Promise<AgentForToken | undefined>;
};

/** What the row of an agent says at the moment a token is asked for. */
export type AgentForToken = {
  org: string;
  project: string;
  fleet: string;
  runId: string;
  agentId: string;
  role: string;
  /** Person who launched the run, e.g. `admin`; the token's `sub` is `org/person`. */
  startedBy: string;
  /** What that person may use themselves of what the role names: an agent gets no more. */
  personScopes: readonly RunTokenScope[];
  /** Only `running` gets a token. */
  runState: string;
  /** Whether the run's identity was taken back: then nobody gets a token, whatever the states say. */
  revoked?: boolean;
  /** Only `running` gets a token. */
  agentState: string;
  /** Name of the agent's toolset in its own org and project. */
  toolset: string;
  /** Whether a person has halted it, or anything that it belongs to. */
  isHalted: boolean;
  /** Whether the run's row was made by a launch that policy allowed. */
  launchAuthorised: boolean;
  /** Trust tier a worker must have for this agent; `default` when absent. */
  taskQueueTier?: string;
  /** When the run's time is over, if it has an end: no token outlives it. */
  endsAt?: Date;
};
