/** What policies say of a request; `needsPerson`: it would be allowed if people approved this very call. */
export type PolicyEffect = 'allow' | 'deny' | 'needsPerson';
const effects: ReadonlySet<string> = new Set<PolicyEffect>(['allow', 'deny', 'needsPerson']);
const isEffect = (text: string | undefined): text is PolicyEffect => text !== undefined && effects.has(text);

/**
 * What a decision was made on, by reference: digests of stored facts. A row of the audit holds it as one text, so that a call can be
 * explained and decided again later without repeating what is known of principal, resource and policies in each row.
 */
export type DecisionBasis = {
  /** What the policies said; a call may still be refused for another reason. */
  effect: PolicyEffect;
  /** What was asked of them, which for a name that is not on a list is the listing. */
  action: string;
  /** Asked whether any call could be allowed, whatever its arguments are. */
  forAnyArguments: boolean;
  policies: string;
  principal: string;
  resource: string;
  surroundings: string;
};

export const formatBasis = ({ effect, action, forAnyArguments, policies, principal, resource, surroundings }: DecisionBasis): string =>
  `${effect} ${action} ${forAnyArguments ? 'any' : 'exact'} ${policies} ${principal} ${resource} ${surroundings}`;

/** Reads it back; undefined where it is none. */
export const parseBasis = (text: string | null): DecisionBasis | undefined => {
  const [effect, action, reach, policies, principal, resource, surroundings, ...rest] = text?.split(' ') ?? [];
  if (!isEffect(effect) || !action || !policies || !principal || !resource || !surroundings || rest.length > 0) return undefined;
  return { effect, action, forAnyArguments: reach === 'any', policies, principal, resource, surroundings };
};
