import type { Config } from '../config.ts';
import { findLogin } from '../login/credentials.ts';
import { CliError, usageError } from '../output/cli-error.ts';
import { dataFolderAt } from '../up/data-folder.ts';
import { readReadyFile } from '../up/ready-file.ts';
import { absolutePath } from './working-directory.ts';

/**
 * @property apiUrl - origin that serves `/api/v1alpha1`
 * @property place - where it was found, as people are told
 * @property apiResource - the api as a protected resource
 * @property tokenFor - gives a token for a protected resource, renewed where need be: its end is near, or it is the one that was refused
 */
export type Platform = {
  url: string;
  apiUrl: string;
  mcpUrl: string;
  modelsUrl: string;
  place: string;
  apiResource: string;
  tokenFor(resource: string, refusedToken?: string): Promise<string>;
};
export type PlatformOptions = { data?: string; as?: string };

export const noPlatform = (place: string): CliError =>
  new CliError(`No platform runs on ${place}; start one with: quarterdeck up`, { code: 'server_unavailable', isAway: true });

const people = ['admin', 'reviewer'] as const;

/**
 * Finds the running platform: by QUARTERDECK_URL and QUARTERDECK_TOKEN, else in the data folder. Who has logged in there is that person;
 * `--as` picks one of the platform on this machine all the same.
 * The token of the data folder goes to the platform of that folder alone, never to an address of the environment.
 * @throws {CliError} when none runs there, or no token is at hand
 */
export const findPlatform = (config: Config, { data, as }: PlatformOptions): Platform => {
  if (as !== undefined && !(people as readonly string[]).includes(as))
    throw usageError(`--as ${as} is not known; expected ${people.join(' or ')}`);
  const folder = dataFolderAt(data === undefined ? config.dataDirectory : absolutePath(config, data));
  const ready = readReadyFile(folder.readyFile);
  const url = data === undefined ? config.url : undefined;
  const isOwn = ready !== undefined && (url === undefined || url === ready.url || url === ready.apiUrl);
  const person = as === 'reviewer' ? ready?.reviewerToken : ready?.adminToken;
  if (url === undefined && !ready) throw noPlatform(folder.root);
  const place = url ?? folder.root;
  const origin = url ?? '';
  const addresses =
    isOwn && ready
      ? { url: ready.url, apiUrl: ready.apiUrl, mcpUrl: ready.mcpUrl, modelsUrl: ready.modelsUrl, place }
      : { url: origin, apiUrl: origin, mcpUrl: `${origin}/mcp`, modelsUrl: `${origin}/v1`, place };
  const apiResource = `${addresses.apiUrl}/api`;

  const given = as === undefined && data === undefined ? config.token : undefined;
  const login = as === undefined && given === undefined ? findLogin(config, addresses.url) : undefined;
  if (login !== undefined)
    return {
      ...addresses,
      apiResource: login.apiResource,
      // loaded where there is a login: commands start quickly
      tokenFor: async (resource, refusedToken) =>
        (await import('../login/fresh-token.ts')).freshToken(config, login.url, resource, refusedToken),
    };
  const token = given ?? (isOwn ? person : undefined);
  if (token !== undefined) return { ...addresses, apiResource, tokenFor: async () => token };
  if (as !== undefined)
    throw new CliError(`The platform on ${place} has no person ${as}`, { next: 'start it with `quarterdeck up --profile dev`' });
  throw new CliError(`There is no token for the platform at ${place}`, {
    code: 'not_authenticated',
    next: 'log in with `quarterdeck login`, or set QUARTERDECK_TOKEN to yours',
  });
};
