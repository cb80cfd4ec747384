import { z } from 'zod';

/** By this machine's clock, since the epoch. */
export const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const clockSkewSeconds = 60;
/** How old a login is taken to be whose issuer does not say: too old for whatever asks for a fresh one. */
const unsaidAgeSeconds = 3600;

const TimeSchema = z.object({ auth_time: z.int().optional(), acr: z.string().min(1).max(256).optional().catch(undefined) });

/**
 * When the person has shown who they are, as their issuer says: never what we would like it to be.
 * @returns undefined where they were to log in anew and did not, or nobody says so
 */
export const loginTime = (
  idToken: object,
  { anew, begunAt }: { anew: boolean; begunAt: number },
): { ts: number; acr: string | undefined } | undefined => {
  const read = TimeSchema.safeParse(idToken);
  if (!read.success) return undefined;
  const { auth_time: at, acr } = read.data;
  const now = nowSeconds();
  if (at !== undefined && at > now + clockSkewSeconds) return undefined;
  if (anew && (at === undefined || at < begunAt - clockSkewSeconds)) return undefined;
  return { ts: Math.min(at ?? now - unsaidAgeSeconds, now), acr };
};
