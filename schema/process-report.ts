import { z } from 'zod';

/** What a gateway has of one server. `lookedAt` is when what the server offers was last compared; empty before the first time. */
export const ServerReportSchema = z.object({
  org: z.string(),
  project: z.string(),
  server: z.string(),
  generation: z.number().int(),
  lookedAt: z.string(),
  /** SHA-256 (hex) over the hashes of what it offered then. */
  offeredDigest: z.string(),
  /** `open`: it is not asked at the moment. */
  health: z.enum(['closed', 'open', 'half-open']),
  /** Looks that failed in a row, and what the last one said. */
  failures: z.number().int(),
  failure: z.string(),
});
export type ServerReport = z.infer<typeof ServerReportSchema>;

/** How far back refusals of servers are counted. */
export const stormSeconds = 30;

/** A server that answered within `stormSeconds` that it is asked too often (429): how often in all, and which agents most of them went to. */
export const StormReportSchema = z.object({
  org: z.string(),
  project: z.string(),
  server: z.string(),
  refused: z.number().int(),
  agents: z.array(z.object({ agent: z.string(), refused: z.number().int() })),
});
export type StormReport = z.infer<typeof StormReportSchema>;

/** A server that does not take the credential it is sent, or for which there is none any more: of how many callers, and why. Never which one. */
export const RefusedCredentialSchema = z.object({
  org: z.string(),
  project: z.string(),
  server: z.string(),
  callers: z.number().int(),
  why: z.string(),
});
export type RefusedCredential = z.infer<typeof RefusedCredentialSchema>;

export const ProcessReportSchema = z.discriminatedUnion('process', [
  z.object({
    process: z.literal('gateway'),
    servers: z.array(ServerReportSchema),
    /** The engine's version of the policies of each project in force, by `org/project`; a project without any is not in it. */
    policies: z.record(z.string(), z.string()),
    /** Keys of the issuer that tokens are verified with, as it was last answered. */
    keys: z.object({ kids: z.array(z.string()), fetchedAt: z.string(), failure: z.string() }),
    storms: z.array(StormReportSchema),
    refusedCredentials: z.array(RefusedCredentialSchema),
  }),
  z.object({ process: z.literal('control') }),
  z.object({ process: z.literal('worker'), queues: z.array(z.string()) }),
]);
export type ProcessReport = z.infer<typeof ProcessReportSchema>;
export type ProcessName = ProcessReport['process'];

const server = { org: z.string(), project: z.string(), server: z.string() };

/** What the reconciler may ask of a process; each can be asked again without harm. */
export const ProcessOrderSchema = z.discriminatedUnion('do', [
  /** Look at what the server offers, now. */
  z.object({ process: z.literal('gateway'), do: z.literal('look-again'), ...server }),
  /** Let go of all that is open to the server and what is remembered of its health, read what is declared, and open it anew. */
  z.object({ process: z.literal('gateway'), do: z.literal('rebuild-route'), ...server }),
  z.object({ process: z.literal('gateway'), do: z.literal('reload-policies'), org: z.string(), project: z.string() }),
  z.object({ process: z.literal('gateway'), do: z.literal('refetch-keys') }),
  /** Read again who is held to less than declared. */
  z.object({ process: z.literal('gateway'), do: z.literal('reread-rates') }),
  /** Let go of what the server does not take, get another credential from the issuer, and look whether that is taken. */
  z.object({ process: z.literal('gateway'), do: z.literal('renew-credential'), ...server }),
  z.object({ process: z.literal('control'), do: z.literal('restart-workers') }),
]);
export type ProcessOrder = z.infer<typeof ProcessOrderSchema>;
