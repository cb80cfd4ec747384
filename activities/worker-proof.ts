import { readFile } from 'node:fs/promises';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { type Dispatcher, request } from 'undici';
import { z } from 'zod';
import { PlatformError } from '../schema/errors.ts';
import {
  joinedProofLifetimeSeconds,
  workerClientId,
  workerJoinGrant,
  workerProofAudience,
  workerProofTypes,
} from '../schema/worker-proof.ts';
import { readBody } from './read-body.ts';

export type WorkerProof = { type: string; token: string };
export type WorkerProofs = {
  /** A proof of who this worker is, for one request. @throws {PlatformError} `token_refused`, `server_unavailable` (retryable) */
  prove(signal: AbortSignal): Promise<WorkerProof>;
  /** The issuer did not know this worker: it shows anew who it is. @returns whether that can help */
  forget(): boolean;
};

/** A key is renewed this long before its end. */
const marginMs = 60_000;
const answerWithinMs = 10_000;
const JoinedSchema = z.object({ expires_in: z.number() });

type Joined = { key: Awaited<ReturnType<typeof generateKeyPair>>['privateKey']; thumbprint: string; endsAtMs: number };

/**
 * Proofs of a worker that joined: it makes a key that never leaves its memory, makes it known with a one-use token of its supervisor, and
 * signs a JWT with it for each request (RFC 7523 §3 has the claims). It joins again when its key is too old or not known any more.
 * @param options.joinToken - asks the supervisor for a token
 */
export const createJoinedProofs = ({
  issuerUrl,
  joinToken,
  clock = Date.now,
  dispatcher,
}: {
  issuerUrl: string;
  joinToken: () => Promise<string>;
  clock?: () => number;
  dispatcher?: Dispatcher;
}): WorkerProofs => {
  let joined: Promise<Joined> | undefined;

  const join = async (): Promise<Joined> => {
    const [{ publicKey, privateKey }, token, askedAtMs] = [await generateKeyPair('ES256'), await joinToken(), clock()];
    const { kty, crv, x, y } = await exportJWK(publicKey);
    const key = { kty, crv, x, y } as { kty: 'EC'; crv: string; x: string; y: string };
    const form = { grant_type: workerJoinGrant, client_id: workerClientId, join_token: token, key: JSON.stringify(key) };
    const unavailable = (cause?: unknown) =>
      new PlatformError('server_unavailable', 'The issuer does not answer; the worker tries to join it again.', { cause });
    const answer = await request(`${issuerUrl}/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: new URLSearchParams(form).toString(),
      headersTimeout: answerWithinMs,
      bodyTimeout: answerWithinMs,
      dispatcher,
    }).catch((cause: unknown) => {
      throw unavailable(cause);
    });
    const text = await readBody(answer.body);
    if (answer.statusCode >= 500 || answer.statusCode === 429) throw unavailable();
    const parsed = answer.statusCode === 200 ? JoinedSchema.safeParse(JSON.parse(text)) : undefined;
    if (!parsed?.success) throw new PlatformError('token_refused', 'The issuer does not let this worker join; restart `quarterdeck up`.');
    return { key: privateKey, thumbprint: await calculateJwkThumbprint(key), endsAtMs: askedAtMs + parsed.data.expires_in * 1000 };
  };

  const current = async (): Promise<Joined> => {
    const before = joined;
    const known = await before;
    if (known && known.endsAtMs > clock() + marginMs) return known;
    // of many that find it too old, the first one joins
    if (joined === before) joined = join();
    return joined as Promise<Joined>;
  };

  return {
    prove: async () => {
      const { key, thumbprint } = await current().catch((error: unknown) => {
        joined = undefined;
        throw error;
      });
      const now = Math.floor(clock() / 1000);
      const token = await new SignJWT({})
        .setProtectedHeader({ alg: 'ES256', typ: 'worker-proof+jwt', kid: thumbprint })
        .setSubject(thumbprint)
        .setAudience(workerProofAudience(issuerUrl))
        .setJti(crypto.randomUUID())
        .setIssuedAt(now)
        .setExpirationTime(now + joinedProofLifetimeSeconds / 2)
        .sign(key);
      return { type: workerProofTypes.joined, token };
    },
    forget: () => {
      joined = undefined;
      return true;
    },
  };
};

/**
 * Proofs that somebody else puts into a file and renews there: the kubelet (a projected service-account token), a SPIFFE helper (a JWT-SVID).
 * The file is read for each request.
 */
export const createFileProofs = ({ kind, file }: { kind: 'kubernetes' | 'spiffe'; file: string }): WorkerProofs => ({
  prove: async () => {
    const token = await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new PlatformError('server_unavailable', `The proof of this worker, ${file}, cannot be read; it is tried again.`, { cause });
    });
    return { type: workerProofTypes[kind], token: token.trim() };
  },
  forget: () => false,
});
