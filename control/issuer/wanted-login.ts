import { interactionPolicy } from 'oidc-provider';
import { knownLevel, loginLevel, namesOfTwoThings } from '../../policy/login-level.ts';

/** Names of `acr_values`, the parameter of a request that says how well a person has to show who they are. */
export const wantedAcrValues = (parameter: unknown): string[] =>
  String(parameter ?? '')
    .split(' ')
    .filter((name) => name !== '' && name.length <= 256)
    .slice(0, 10);

/**
 * Whether a login is as good as one of what was asked for: the very name, or at least its level where the name has one. Of a name that only
 * the company knows nothing else will do.
 */
export const meetsWanted = (wanted: readonly string[], acr: string | undefined): boolean =>
  wanted.length === 0 ||
  wanted.some((name) => {
    const level = knownLevel(name);
    return name === acr || (level !== undefined && loginLevel(acr) >= level);
  });

/**
 * What a company's issuer is asked for in its own words: those of its names that reach the level, where it says which it has, or else all
 * that are known for it.
 * @param supported - its `acr_values_supported`
 */
export const namesAtCompany = (wanted: readonly string[], supported: readonly string[] | undefined): string[] => {
  const names = wanted.flatMap((name) => {
    const level = knownLevel(name);
    if (level === undefined || supported?.includes(name)) return [name];
    if (level < 2) return [];
    const reaching = supported?.filter((each) => loginLevel(each) >= level) ?? [];
    return reaching.length > 0 ? reaching : [name, ...(level === 2 ? namesOfTwoThings : [])];
  });
  return [...new Set(names)];
};

/** The library's rules of when a person has to log in, and one more: when their login is weaker than the request wants (RFC 9470 §4). */
export const loginPolicy = (): interactionPolicy.DefaultPolicy => {
  const { Check, base } = interactionPolicy;
  const policy = base();
  policy.get('login')?.checks.add(
    new Check('login_too_weak', 'a stronger login is asked for', ({ oidc }) => {
      const isEnough = oidc.session?.accountId === undefined || meetsWanted(wantedAcrValues(oidc.params?.acr_values), oidc.session.acr);
      return isEnough ? Check.NO_NEED_TO_PROMPT : Check.REQUEST_PROMPT;
    }),
  );
  return policy;
};
