/** `mcp` opens the agent's toolset, `models` the model endpoint; a token opens one of them. */
export type RunTokenScope = 'mcp' | 'models';

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
  /** Person who launched the run, e.g. `admin`; the token's `sub` is `org/person`, or the agent where a machine launched it. */
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
