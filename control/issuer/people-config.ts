import type { SecretSources } from '../../store/secrets/references.ts';

/** What the issuer needs to let people in, beside what it needs for agents. */
export type PeopleConfig = {
  /** URL of the api as a protected resource, e.g. `http://127.0.0.1:7421/api`. */
  apiResource: string;
  /** At least 32 characters: signs cookies, and the forms of the pages. */
  cookieKey: string;
  /** What the codes of devices are sealed with, see `deviceCodeKeyOf`. */
  deviceCodeKey: string;
  /** Whether clients that nobody knows may register themselves (RFC 7591). */
  allowsRegistration: boolean;
  /** Whether the document of a client may come from this machine; for development alone. */
  allowsLoopbackClients: boolean;
  /** The login provider of this machine, where there is one. */
  devProvider?: DevProvider;
  /** Where references of client secrets are looked up. */
  secrets: SecretSources;
};

/** How the login provider of this machine is reached: as any other one. */
export type DevProvider = { org: string; issuer: string; clientId: string; clientSecret: string };

/**
 * Lifetimes, in seconds: a login lasts a working day, whatever renews it, and ends half an hour after it was last used; the rest is what a
 * person needs to click through.
 */
export const lifetimes = { login: 8 * 3600, idle: 1800, device: 600, code: 60, interaction: 600 } as const;

/** How long something of a login may last from now, in seconds: not beyond the end of the login, of which it is a part. */
export const remainingOfLogin = (loggedInAtSeconds: number | undefined, atMost: number): number => {
  const nowSeconds = Math.floor(Date.now() / 1000);
  return Math.max(1, Math.min(atMost, (loggedInAtSeconds ?? nowSeconds) + lifetimes.login - nowSeconds));
};

/** The client of our own command line: public, as anybody can read its id here (RFC 8252 §8.5). */
export const commandLineClientId = 'quarterdeck-cli';
