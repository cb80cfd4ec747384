import { loginLevel } from '../../policy/login-level.ts';
import type { Person } from '../../store/people.ts';

/** How long ago a person has shown who they are, and how well; undefined of whom no login is known. */
export const loginOf = ({ authTime, acr }: Person, now: Date): { ageSeconds: number; level: number } | undefined =>
  authTime === undefined ? undefined : { ageSeconds: Math.max(0, Math.floor(now.getTime() / 1000) - authTime), level: loginLevel(acr) };
