/** Faults of the taxonomy that need what this release does not have, and are not played. */
export const notRun: Readonly<Record<string, string>> = {
  G02: 'a registry entry that is missing or orphaned: entries of a registry are not reconciled yet',
  G09: "an expired certificate of the gateway: certificates are the ingress's until issue 7",
  A04: 'non-determinism after a deploy: versions of workers are not ramped yet',
  A05: 'a history near its limit: agents continue as new by themselves',
  A06: 'input that kills a worker each time: there is no quarantine of inputs yet',
  A07: 'an agent without progress: the agent stops itself by its own limits',
  A08: 'a budget that is used up: the agent is parked by the gateway',
  A09: "a model's provider that is down: the route's fallbacks are the gateway's",
  A10: 'an agent that is not as its role says: roles are frozen into a run',
  A11: 'agents that wait for somebody who does not answer: an approval expires by itself',
};

/** Faults that this release can mend and the bench does not bring about yet; what mends them has tests of its own. */
export const notYet: Readonly<Record<string, string>> = {
  G04: 'a stale list of tools: not played yet',
  G06: 'policies that a gateway did not hear of: not played yet, a gateway reads them again by itself',
  G08: 'keys of the issuer that are not known: not played yet',
  G10: 'a storm of one caller: not played yet',
  G11: 'a credential that ran out: not played yet',
  A01: 'agents that are missing: not played yet',
  A02: 'agents that nothing declares: not played yet',
  A03: 'a queue without workers: not played yet',
  A12: 'output that carries orders: not played yet',
};
