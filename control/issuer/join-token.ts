import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';

/** Long enough for a process to start beside a busy compiler; whoever comes later asks for another. */
export const joinTokenLifetimeSeconds = 60;

const ContentSchema = z.strictObject({ id: z.string().min(22), tier: z.string().min(1), exp: z.int() });
export type JoinToken = z.infer<typeof ContentSchema>;

const signatureOf = (content: string, key: string): Buffer => createHmac('sha256', key).update(`worker-join.${content}`).digest();

/**
 * Makes a token by which one worker may join once.
 * @param key - known to the supervisor and the issuer alone; at least 32 characters
 */
export const makeJoinToken = (key: string, { tier = 'default', now = Date.now() }: { tier?: string; now?: number } = {}): string => {
  const token: JoinToken = { id: randomBytes(16).toString('base64url'), tier, exp: Math.floor(now / 1000) + joinTokenLifetimeSeconds };
  const content = Buffer.from(JSON.stringify(token)).toString('base64url');
  return `${content}.${signatureOf(content, key).toString('base64url')}`;
};

/** @returns what it says; undefined when it was not made with this key, is too old, or too long-lived */
export const readJoinToken = (text: string, key: string, now: number): JoinToken | undefined => {
  const [content = '', signature = '', ...rest] = text.split('.');
  const [given, expected] = [Buffer.from(signature, 'base64url'), signatureOf(content, key)];
  if (rest.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const { success, data } = ContentSchema.safeParse(JSON.parse(Buffer.from(content, 'base64url').toString()));
  const secondsLeft = success ? data.exp - now / 1000 : 0;
  return success && secondsLeft > 0 && secondsLeft <= joinTokenLifetimeSeconds ? data : undefined;
};
