import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../config.ts';
import { CliError } from '../output/cli-error.ts';
import { writePrivateFile } from '../up/write-private-file.ts';

const LoginSchema = z.object({
  /** Origin of the gateway of the platform. */
  url: z.url(),
  /** Who issued the credentials, and the only place they are sent to. */
  issuer: z.url(),
  account: z.string(),
  /** The api as a protected resource. */
  apiResource: z.url(),
  /** What tokens may be asked for. */
  resources: z.array(z.string()),
  refreshToken: z.string(),
  /** Access tokens by resource; `expiresAt` in milliseconds since the epoch. */
  tokens: z.record(z.string(), z.object({ accessToken: z.string(), expiresAt: z.number() })),
});
/** A login of this user at one platform. Both kinds of token are secret. */
export type Login = z.infer<typeof LoginSchema>;

const CredentialsSchema = z.object({ logins: z.array(LoginSchema) });

/** Where logins are kept, for this user alone. */
export const credentialsPath = ({ configDirectory }: Pick<Config, 'configDirectory'>): string => join(configDirectory, 'credentials.json');

/** @throws {CliError} when the file is there and cannot be used: it is not overwritten */
const readLogins = (config: Pick<Config, 'configDirectory'>): Login[] => {
  const path = credentialsPath(config);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as { code?: string }).code ?? '')) return [];
    throw new CliError(`The logins in ${path} cannot be read`, { cause: error, next: 'look at its permissions' });
  }
  try {
    return CredentialsSchema.parse(JSON.parse(text)).logins;
  } catch (error) {
    throw new CliError(`The file ${path} is damaged`, { cause: error, next: `remove it and log in again` });
  }
};

/** Finds the login at a platform, by the origin of its gateway. */
export const findLogin = (config: Pick<Config, 'configDirectory'>, url: string): Login | undefined =>
  readLogins(config).find((login) => login.url === url);

/** Keeps a login in the place of an earlier one at the same platform; without one, that is forgotten. */
export const keepLogin = (config: Pick<Config, 'configDirectory'>, url: string, login: Login | undefined): void => {
  const path = credentialsPath(config);
  const others = readLogins(config).filter((each) => each.url !== url);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writePrivateFile(path, `${JSON.stringify({ logins: login ? [...others, login] : others }, undefined, 2)}\n`);
};
