import { createHmac } from 'node:crypto';
import { request } from 'undici';
import type { Tenancy } from '../../schema/ids.ts';
import { type HookAnswer, HookAnswerSchema, type PolicyHook } from '../../schema/resources/policy-hook.ts';
import { resolveSecret, type SecretSources } from '../../store/secrets/references.ts';
import type { Breaker } from '../upstream/breaker.ts';
import type { HookAddresses } from './hook-addresses.ts';

/** A hook with what stands between it and us. */
export type AskableHook = PolicyHook & { breaker: Breaker; ask: (body: object) => Promise<HookAnswer> };

/** What the audit says of asking one; `open` and `closed`: it gave no usable answer, and this was its fail mode. */
export type HookOutcome = {
  name: string;
  on: 'call' | 'result';
  outcome: 'allow' | 'deny' | 'masked' | 'open' | 'closed';
  durationMs: number;
};

const mostAnswerBytes = 64 * 1024;

const readAtMost = async (body: AsyncIterable<Buffer>): Promise<string> => {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of body) {
    bytes += part.length;
    if (bytes > mostAnswerBytes) throw new Error(`the answer is larger than ${mostAnswerBytes / 1024} KiB`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
};

/**
 * Asks a hook, signed, within its time, with one try; whatever is no usable answer is thrown.
 * @param now - milliseconds since the epoch
 */
export const createAsk =
  (
    { name, url, secret, timeoutMs }: PolicyHook,
    { tenancy, addresses, secrets, now }: { tenancy: Tenancy; addresses: HookAddresses; secrets: SecretSources; now: () => number },
  ) =>
  async (body: object): Promise<HookAnswer> => {
    const where = addresses.check(url);
    const text = JSON.stringify(body);
    const seconds = Math.floor(now() / 1000);
    const signature = createHmac(
      'sha256',
      await resolveSecret(secret, secrets, { ...tenancy, kind: 'PolicySet', name, field: 'hooks.secret' }),
    )
      .update(`${seconds}.${text}`)
      .digest('hex');
    const signal = AbortSignal.timeout(timeoutMs);
    const answer = await request(where, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json', 'quarterdeck-signature': `t=${seconds},v1=${signature}` },
      body: text,
      signal,
      dispatcher: addresses.dispatcher,
    });
    const answered = await readAtMost(answer.body);
    if (answer.statusCode !== 200) throw new Error(`it answers ${answer.statusCode}`);
    return HookAnswerSchema.parse(JSON.parse(answered));
  };
