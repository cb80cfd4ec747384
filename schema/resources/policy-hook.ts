import { z } from 'zod';
import { NameSchema } from '../ids.ts';
import { SecretReferenceSchema } from './metadata.ts';

/**
 * A service of one's own that is asked about calls that policies allow: it may refuse one, or have texts masked in its result. It can allow
 * nothing that is refused, and change nothing else.
 */
export const PolicyHookSchema = z.strictObject({
  name: NameSchema,
  url: z.url({ protocol: /^https?$/ }).max(2048),
  /** What the bodies are signed with: HMAC-SHA-256 (`quarterdeck-signature: t=SECONDS,v1=HEX` over `SECONDS.BODY`). */
  secret: SecretReferenceSchema,
  /** `server/tool` as the server names it, or `server/*`. */
  tools: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9-]*\/(\*|\S{1,2048})$/, "a server's name, `/`, and a tool or `*`, such as `mail/*`"))
    .min(1)
    .max(256),
  /** `call`: before a call is made; `result`: before its result is handed over. */
  on: z
    .array(z.enum(['call', 'result']))
    .min(1)
    .default(['call']),
  /** What happens when it does not answer, or not usably: `closed` refuses the call or withholds the result, `open` lets it pass. */
  failMode: z.enum(['closed', 'open']).default('closed'),
  timeoutMs: z.number().int().min(10).max(10_000).default(1000),
});
export type PolicyHook = z.infer<typeof PolicyHookSchema>;

/** What a hook answers; what it says beside that is not looked at. `mask`: texts that are not to be seen in the result. */
export const HookAnswerSchema = z.object({
  decision: z.enum(['allow', 'deny']),
  reason: z.string().max(500).optional(),
  mask: z.array(z.string().min(1).max(4096)).max(256).optional(),
});
export type HookAnswer = z.infer<typeof HookAnswerSchema>;
