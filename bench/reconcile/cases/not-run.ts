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

const numbered = (letter: string, ...numbers: number[]): string[] => numbers.map((number) => `${letter}${String(number).padStart(2, '0')}`);

/** The faults of the taxonomy that are to be played. */
export const playable: readonly string[] = [
  ...numbered('K', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
  ...numbered('G', 1, 3, 4, 5, 6, 7, 8, 10, 11, 12),
  ...numbered('A', 1, 2, 3, 12),
];

/** Those of them that no case brings about yet. @param cases - that are played */
export const notYet = (cases: readonly { id: string }[]): Readonly<Record<string, string>> =>
  Object.fromEntries(playable.filter((id) => !cases.some((one) => one.id === id)).map((id) => [id, 'not played yet']));
