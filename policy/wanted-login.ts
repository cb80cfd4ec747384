import type { PolicyDecision } from './policy-decision.ts';

/** How somebody has logged in: seconds ago, and at which level (`loginLevel`). */
export type CallerLogin = { age: number; level: number };
/** What is missing of a login: a level, an age that it may have at most, or both. */
export type WantedLogin = { level?: number; maxAgeSeconds?: number };

/** Ages that somebody may be asked for, in seconds: the longest one that will do is asked. No login lasts longer than the first. */
const ages = [28_800, 14_400, 7200, 3600, 1800, 900, 600, 300, 120, 60, 30, 0];
const highestLevel = 9;
/** The login that any policy would take that asks for one. */
export const bestLogin: CallerLogin = Object.freeze({ age: 0, level: highestLevel });

/**
 * Finds out which login a refused request lacks, by asking the policies what they would say to others. Where even the best login would not
 * do, the login is not what is wrong. Whatever is asked for is enough; a policy with odd bounds may be satisfied with less.
 * @param ask - decides about the same request by another login
 */
export const findWantedLogin = (ask: (login: CallerLogin) => PolicyDecision, { age, level }: CallerLogin): WantedLogin | undefined => {
  const suffices = (login: CallerLogin): boolean => {
    const { effect, error } = ask(login);
    return effect !== 'deny' && error === undefined;
  };
  const levels = Array.from({ length: highestLevel + 1 }, (_, index) => index);
  const enough = [level, ...levels.filter((each) => each > level)].find((each) => suffices({ age: 0, level: each }));
  if (enough === undefined) return undefined;
  const isOldEnough = suffices({ age, level: enough });
  const maxAgeSeconds = isOldEnough ? undefined : ages.find((each) => each < age && suffices({ age: each, level: enough }));
  return { ...(enough > level ? { level: enough } : {}), ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }) };
};
