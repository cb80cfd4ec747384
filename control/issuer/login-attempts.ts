import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { randomNonce, randomPKCECodeVerifier, randomState } from 'openid-client';
import { z } from 'zod';
import type { Database } from '../../store/database.ts';
import { consumeIssuerRecord, findIssuerRecord, putIssuerRecord } from '../../store/issuer-records.ts';
import { LoginFailed } from './login-failed.ts';
import { nowSeconds } from './login-time.ts';
import { lifetimes } from './people-config.ts';

const model = 'UpstreamLogin';

/** What is remembered of a login under way, under its `state`. */
const AttemptSchema = z.object({
  interaction: z.string(),
  provider: z.string(),
  nonce: z.string(),
  verifier: z.string(),
  /** SHA-256 of the cookie of the browser that began it. */
  browser: z.string(),
  /** Whether they were to log in anew, and since when that would be, in seconds since the epoch. */
  anew: z.boolean(),
  begunAt: z.int(),
});

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();

export type LoginAttempt = z.infer<typeof AttemptSchema>;

/** One cookie for each login under way, so that two tabs do not disturb each other. */
export const attemptCookieName = (state: string, isSecure: boolean): string =>
  `${isSecure ? '__Host-' : ''}quarterdeck_login_${digestOf(state).toString('hex').slice(0, 12)}`;

/** Logins under way at a company's issuer: each is finished once, and in the browser that began it. */
export const createLoginAttempts = (database: Database) => ({
  /** @returns what goes to the issuer, and the cookie that the browser has to bring back */
  begin: async (wanted: Pick<LoginAttempt, 'interaction' | 'provider' | 'anew'>) => {
    const [state, nonce, verifier, cookie] = [
      randomState(),
      randomNonce(),
      randomPKCECodeVerifier(),
      randomBytes(32).toString('base64url'),
    ];
    const attempt: LoginAttempt = {
      ...{ ...wanted, nonce, verifier },
      browser: digestOf(cookie).toString('base64url'),
      begunAt: nowSeconds(),
    };
    await putIssuerRecord(database, model, state, attempt, lifetimes.interaction);
    return { state, nonce, verifier, cookie };
  },
  /**
   * Takes the attempt that a `state` belongs to: once, and only for the browser that began it.
   * @throws {LoginFailed}
   */
  take: async (state: string, cookie: string | undefined): Promise<LoginAttempt> => {
    const failed = (detail: string) => new LoginFailed('This login was not begun here, or is over. Begin again.', detail);
    const found = AttemptSchema.safeParse(await findIssuerRecord(database, model, { value: state }));
    if (!found.success) throw failed('unknown state');
    // somebody else's state: their code would log this person in as them
    if (cookie === undefined || !timingSafeEqual(digestOf(cookie), Buffer.from(found.data.browser, 'base64url')))
      throw failed('the state belongs to another browser');
    if (!(await consumeIssuerRecord(database, model, state))) throw failed('the state was used already');
    return found.data;
  },
});
