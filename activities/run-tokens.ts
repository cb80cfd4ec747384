import { type Dispatcher, request } from 'undici';
import { z } from 'zod';
import { PlatformError } from '../schema/errors.ts';
import { workerClientId } from '../schema/worker-proof.ts';
import { readBody } from './read-body.ts';
import type { WorkerProofs } from './worker-proof.ts';

/** Gets tokens that speak for one agent at one audience. */
export type RunTokens = {
  /** @throws {PlatformError} `token_refused`, `halted`, `server_unavailable` (retryable) */
  tokenFor(agentId: string, audience: string, signal: AbortSignal): Promise<string>;
  /** Forgets a token that the gateway did not accept. */
  forget(agentId: string, audience: string): void;
};

const AnswerSchema = z.object({ access_token: z.string(), expires_in: z.number() });

/** How the issuer says that somebody has halted the agent, or something that it belongs to. */
const RefusalSchema = z.object({ error: z.literal('access_denied'), error_description: z.literal('halted') });

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
/** Whether the issuer does not know who asks (RFC 6749 §5.2). */
const isUnknownWorker = (text: string): boolean => text.includes('"invalid_client"');

/** What the issuer says where an agent asks for more than its person may use; an answer with a token never holds it. */
const notOfPerson = '"the person of this run may not use that"';

type Held = { token: string; endsAtMs: number };

/** A token is renewed this long before its end, so that none expires on its way. */
const marginMs = 30_000;
const mostTokens = 5000;

const unavailable = (cause?: unknown): PlatformError =>
  new PlatformError('server_unavailable', 'The issuer does not answer; the call is tried again.', { cause });

/**
 * Exchanges a proof of which worker this is and an agent's id for a token of that agent. Tokens live for at most five minutes and are
 * kept in memory until shortly before their end.
 * @param options.issuerUrl - origin of the issuer, without a slash at the end
 * @param options.proofs - how this worker shows who it is
 * @see https://www.rfc-editor.org/rfc/rfc8693#section-2.1
 */
export const createRunTokens = ({
  issuerUrl,
  proofs,
  clock = Date.now,
  dispatcher,
}: {
  issuerUrl: string;
  proofs: WorkerProofs;
  clock?: () => number;
  dispatcher?: Dispatcher;
}): RunTokens => {
  const held = new Map<string, Held>();

  const exchange = async (agentId: string, audience: string, signal: AbortSignal, isAgain = false): Promise<Held> => {
    const proof = await proofs.prove(signal);
    const form = new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      client_id: workerClientId,
      actor_token: proof.token,
      actor_token_type: proof.type,
      subject_token_type: 'urn:quarterdeck:params:oauth:token-type:agent-run',
      subject_token: agentId,
      resource: audience,
    });
    const askedAtMs = clock();
    const answer = await request(`${issuerUrl}/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
      body: form.toString(),
      signal,
      headersTimeout: 10_000,
      bodyTimeout: 10_000,
      dispatcher,
    }).catch((cause: unknown) => {
      throw unavailable(cause);
    });
    const text = await readBody(answer.body);
    if (answer.statusCode >= 500 || answer.statusCode === 429) throw unavailable();
    if (RefusalSchema.safeParse(jsonOf(text)).success)
      throw new PlatformError('halted', `The issuer gives no token to ${agentId}: it is halted, and a person has to lift that.`);
    if (answer.statusCode >= 400 && isUnknownWorker(text) && !isAgain && proofs.forget()) return exchange(agentId, audience, signal, true);
    const parsed = answer.statusCode === 200 ? AnswerSchema.safeParse(JSON.parse(text)) : undefined;
    if (text.includes(notOfPerson))
      throw new PlatformError(
        'token_refused',
        `The person who launched the run of ${agentId} may not use ${audience}, so it may not either.`,
      );
    if (!parsed?.success)
      throw new PlatformError('token_refused', `The issuer gives no token to ${agentId}; its run or the agent itself is not at work.`);
    return { token: parsed.data.access_token, endsAtMs: askedAtMs + parsed.data.expires_in * 1000 };
  };

  const prune = (): void => {
    for (const [key, { endsAtMs }] of held) if (endsAtMs <= clock() + marginMs) held.delete(key);
    for (const key of [...held.keys()].slice(0, Math.max(0, held.size - mostTokens))) held.delete(key);
  };

  return {
    tokenFor: async (agentId, audience, signal) => {
      const key = `${agentId} ${audience}`;
      const known = held.get(key);
      if (known && known.endsAtMs > clock() + marginMs) return known.token;
      const fresh = await exchange(agentId, audience, signal);
      held.set(key, fresh);
      if (held.size > mostTokens) prune();
      return fresh.token;
    },
    forget: (agentId, audience) => {
      held.delete(`${agentId} ${audience}`);
    },
  };
};
