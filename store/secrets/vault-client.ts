import { readFile } from 'node:fs/promises';
import { request } from 'undici';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import type { VaultAuth, VaultSettings } from './settings.ts';

const timeoutMs = 10_000;
const mostBytes = 1024 * 1024;
/** So much of a token's life is used; then there is a new login. */
const usedShare = 0.8;

const AnswerSchema = z.looseObject({
  lease_id: z.string().nullish(),
  lease_duration: z.number().nullish(),
  renewable: z.boolean().nullish(),
  data: z.record(z.string(), z.unknown()).nullish(),
  auth: z.looseObject({ client_token: z.string().min(1), lease_duration: z.number() }).nullish(),
});
export type VaultAnswer = z.infer<typeof AnswerSchema>;

type Login = { token: string; renewAt: number };

/** `reason: unreachable` marks what may be over in a moment; a refusal has none. */
const failed = (what: string, reason?: 'unreachable', cause?: unknown): PlatformError =>
  new PlatformError('secret_unavailable', what, { cause, ...(reason ? { facts: { reason } } : {}) });

const readBody = async (body: AsyncIterable<Buffer>): Promise<unknown> => {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > mostBytes) throw new RangeError('the answer is too large');
    pieces.push(piece);
  }
  return size === 0 ? {} : JSON.parse(Buffer.concat(pieces).toString());
};

const fileText = async (path: string): Promise<string> => {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (cause) {
    throw failed(`The file ${path}, by which Quarterdeck logs in to Vault, cannot be read.`, undefined, cause);
  }
};

const loginOf = async (auth: Exclude<VaultAuth, { method: 'token' }>): Promise<{ path: string; body: object }> =>
  auth.method === 'approle'
    ? { path: `auth/${auth.mount}/login`, body: { role_id: auth.roleId, secret_id: await fileText(auth.secretIdFile) } }
    : { path: `auth/${auth.mount}/login`, body: { role: auth.role, jwt: await fileText(auth.tokenFile) } };

/**
 * Speaks HashiCorp Vault's API, with a token of its own: given, or from a login by AppRole or by the pod's service account. It logs in
 * anew before its token ends, and once more where the token is refused before that.
 * @see https://developer.hashicorp.com/vault/api-docs
 */
export const createVaultClient = ({ address, namespace, auth }: VaultSettings, now: () => number = Date.now) => {
  let login: Promise<Login> | undefined;

  const send = async (
    method: string,
    path: string,
    token: string | undefined,
    body?: object,
  ): Promise<{ status: number; body: unknown }> => {
    try {
      const answer = await request(`${address}/v1/${path}`, {
        method,
        headers: {
          'x-vault-request': 'true',
          ...(token ? { 'x-vault-token': token } : {}),
          ...(namespace ? { 'x-vault-namespace': namespace } : {}),
          ...(body ? { 'content-type': 'application/json' } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
        signal: AbortSignal.timeout(timeoutMs),
      });
      return { status: answer.statusCode, body: await readBody(answer.body) };
    } catch (cause) {
      throw failed(
        'Vault does not answer, or answers something that is not its API; look at its address and its state.',
        'unreachable',
        cause,
      );
    }
  };

  const answerOf = ({ status, body }: { status: number; body: unknown }, what: string): VaultAnswer => {
    if (status === 404) throw failed(`Vault has nothing at ${what}; look at the path, and whether what was there was deleted.`);
    if (status === 403 || status === 400)
      throw failed(`Vault refuses ${what} (${status}); look at the path, and the policy of Quarterdeck's role.`);
    if (status === 429 || status >= 500) throw failed(`Vault cannot answer for ${what} now (${status}); it may be sealed.`, 'unreachable');
    const parsed = AnswerSchema.safeParse(body);
    if (status > 299 || !parsed.success) throw failed(`Vault answers something that is not its API for ${what} (${status}).`);
    return parsed.data;
  };

  const logIn = async (): Promise<Login> => {
    if (auth.method === 'token') return { token: auth.token, renewAt: Number.POSITIVE_INFINITY };
    const { path, body } = await loginOf(auth);
    const { auth: granted } = answerOf(await send('POST', path, undefined, body), `the login by ${auth.method}`);
    if (!granted) throw failed(`Vault grants no token to the login by ${auth.method}.`);
    const { client_token: token, lease_duration: seconds } = granted;
    return { token, renewAt: seconds > 0 ? now() + seconds * 1000 * usedShare : Number.POSITIVE_INFINITY };
  };

  const token = async (): Promise<string> => {
    const seen = login;
    const current = await seen?.catch(() => undefined);
    if (current && now() < current.renewAt) return current.token;
    // of many who find it too old, the first logs in
    if (login === seen) login = logIn();
    return (await (login ?? logIn())).token;
  };

  return {
    /** @param what - names the thing in messages; @throws {PlatformError} `secret_unavailable` */
    ask: async (method: 'GET' | 'PUT', path: string, what: string, body?: object): Promise<VaultAnswer> => {
      const first = await send(method, path, await token(), body);
      if (first.status !== 403 || auth.method === 'token') return answerOf(first, what);
      login = undefined; // it may have been revoked before its time
      return answerOf(await send(method, path, await token(), body), what);
    },
  };
};
export type VaultClient = ReturnType<typeof createVaultClient>;
