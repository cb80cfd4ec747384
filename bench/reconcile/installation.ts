/** A running platform of the bench: real processes, a database and a Temporal server of its own, and people with tokens. */
export type Installation = {
  apiUrl: string;
  /** Where clients of MCP and of models come in. */
  gatewayUrl: string;
  issuerUrl: string;
  /** `host:port` */
  temporalAddress: string;
  databaseUrl: string;
  /** Of the person who declares targets. */
  ownerToken: string;
  /** Of those who may approve. */
  reviewers: readonly { name: string; token: string }[];
};

/** What stands between the gateway and its issuer: while it is away the gateway gets no keys. */
export type IssuerFront = { isAway: boolean };

/**
 * An installation whose processes are broken, so that one case at a time is played on it. Its gateway looks by itself once an hour only, at
 * servers and at what is declared; a worker process of its own makes the calls of tools.
 */
export type BreakableInstallation = Installation & {
  front: IssuerFront;
  /** The process of the moment. @param part - as `quarterdeck status` names it */
  pidOf: (part: string) => number | undefined;
};
