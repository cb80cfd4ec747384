/** How ids of clients begin that act for themselves; no login gives anybody such an id. */
export const machinePrefix = 'client-';

/** Whether a person's id is that of a client that acts for itself: nobody stands behind what it does. */
export const isMachine = (person: string): boolean => person.startsWith(machinePrefix);

/**
 * Whom a token of an agent is for: the person who launched its run, or, of a run that a machine launched, the agent itself.
 * @returns `org/person`, or the agent's id, which begins with its org too
 */
export const subjectOfAgent = ({ org, person, agentId }: { org: string; person: string; agentId: string }): string =>
  isMachine(person) ? agentId : `${org}/${person}`;
