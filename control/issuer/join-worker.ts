import { calculateJwkThumbprint } from 'jose';
import { errors, type Provider, type TokenEndpointGrantContext } from 'oidc-provider';
import { z } from 'zod';
import { joinedKeyLifetimeSeconds, workerClientId, workerJoinGrant } from '../../schema/worker-proof.ts';
import type { WorkerKeys } from '../../store/worker-keys.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { joinTokenLifetimeSeconds, readJoinToken } from './join-token.ts';

const coordinate = z.string().regex(/^[\w-]{43}$/);
const JoinRequestSchema = z.strictObject({
  grant_type: z.literal(workerJoinGrant),
  client_id: z.literal(workerClientId),
  join_token: z.string().regex(/^[\w.-]{1,1024}$/),
  // its public half alone: nothing of a private key comes here
  key: z
    .string()
    .max(1024)
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue('no JSON');
        return z.NEVER;
      }
    })
    .pipe(z.strictObject({ kty: z.literal('EC'), crv: z.literal('P-256'), x: coordinate, y: coordinate })),
});

/**
 * Adds the grant by which a worker on a development machine becomes known: it shows the join token that its supervisor gave it, once, and
 * the public half of a key that it made. From then on each of its requests is signed with that key, which lives in its memory alone.
 * Refuses with `invalid_grant` and `invalid_request`.
 */
export const registerWorkerJoin = (
  provider: Provider,
  { joinKey, keys, clock, logger }: { joinKey: string; keys: WorkerKeys; clock: () => Date; logger: Logger },
): void => {
  const join = async ({ oidc }: TokenEndpointGrantContext): Promise<Record<string, unknown>> => {
    const parsed = JoinRequestSchema.safeParse({ ...(oidc.body as object | undefined) });
    if (!parsed.success) throw new errors.InvalidRequest('a join token and the public half of a P-256 key are needed');
    const { join_token, key } = parsed.data;
    const token = readJoinToken(join_token, joinKey, clock().getTime());
    if (token === undefined) throw new errors.InvalidGrant('the join token was not made here, or is too old');
    if (!(await keys.useOnce('WorkerJoin', token.id, 2 * joinTokenLifetimeSeconds))) {
      logger.warn({ event: 'join-token-used-twice' }, 'a join token was shown a second time: somebody else may have it');
      throw new errors.InvalidGrant('the join token was used before');
    }
    const thumbprint = await calculateJwkThumbprint(key);
    await keys.put(thumbprint, { jwk: key, tier: token.tier }, joinedKeyLifetimeSeconds);
    logger.info({ event: 'worker-joined', worker: thumbprint, tier: token.tier }, 'a worker joined');
    return { worker: thumbprint, expires_in: joinedKeyLifetimeSeconds };
  };
  provider.registerGrantType(
    workerJoinGrant,
    async (context) => {
      context.body = await join(context);
    },
    Object.keys(JoinRequestSchema.shape),
  );
};
