import { z } from 'zod';
import { SecrecySchema } from '../flow-label.ts';
import { NameSchema, ToolNameSchema } from '../ids.ts';
import { BoundSecretSchema, checkEgress, EgressRuleSchema } from './egress.ts';
import { mostRates, ServerRateSchema } from './rate.ts';
import { ResultFilterSchema } from './result-filter.ts';
import { ServerAuthSchema } from './server-auth.ts';

const cagePath = z.string().regex(/^\/[A-Za-z0-9._/-]*$/, 'an absolute path inside the cage, such as `/input`');

/** A folder of the run, by the name the fleet gives it; inside the cage it stands at `at`. */
export const ServerVolumeSchema = z.strictObject({
  name: NameSchema,
  at: cagePath,
  mode: z.enum(['ro', 'rw']).default('ro'),
  hide: z
    .array(
      z
        .string()
        .min(1)
        .regex(/^[^/]+$/, 'a file or folder name, without `/`'),
    )
    .default([]),
});

/** A fixed folder of the host. */
export const ServerMountSchema = z.strictObject({
  source: z.string().startsWith('/', 'an absolute path on the host'),
  at: cagePath,
  mode: z.enum(['ro', 'rw']).default('ro'),
});

/** What an argument of a tool means to a policy, where its name does not say it. */
export const ArgumentKindSchema = z.enum(['path', 'url', 'host', 'text']);
export type ArgumentKind = z.infer<typeof ArgumentKindSchema>;

const flowRule = {
  /** Of what it gives out: 0 public, 1 internal, 2 confidential, 3 restricted. */
  secrecy: SecrecySchema.optional(),
  /** Whether it gives out what strangers may have written: a web page, an issue, a mail. */
  source: z.boolean().optional(),
  /** Whether what it is given leaves the house, or is kept where others find it. */
  sink: z.boolean().optional(),
  /** The most secret that a sink may be given. */
  maxSecrecy: SecrecySchema.optional(),
};

/**
 * What flows out of a server and into it, for its tools, prompts and resources as a whole, and for some of them by name. What is not said is
 * what hints and caution say: see `flowOf` in the gateway. Of resources the last pattern that fits counts.
 */
export const ServerFlowSchema = z.strictObject({
  ...flowRule,
  tools: z.record(ToolNameSchema, z.strictObject(flowRule)).default({}),
  prompts: z.record(z.string().min(1).max(256), z.strictObject(flowRule)).default({}),
  resources: z
    .array(z.strictObject({ uri: z.string().min(1).max(2048), ...flowRule }))
    .max(256)
    .default([]),
});
export type ServerFlow = z.infer<typeof ServerFlowSchema>;

const shared = {
  /** Labels of what it gives out, and limits of what it may be given. */
  flow: ServerFlowSchema.optional(),
  arguments: z.record(ToolNameSchema, z.record(z.string(), ArgumentKindSchema)).default({}),
  /** How long it may be silent in the middle of a request. */
  timeoutSeconds: z.number().int().min(1).max(3600).default(60),
  /** How long a request may take in all, whatever is said or asked meanwhile; ten minutes, or `timeoutSeconds` where that is longer. */
  totalTimeoutSeconds: z.number().int().min(1).max(3600).optional(),
  /** What is done to all that comes back from it, whichever toolset it is used by. */
  filter: ResultFilterSchema.optional(),
  rates: z.array(ServerRateSchema).max(mostRates).optional(),
};

const variableSchema = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/);

const processFields = {
  transport: z.literal('stdio').default('stdio'),
  args: z.array(z.string().max(4096)).default([]),
  env: z.record(variableSchema, z.string().max(4096)).default({}),
  /** Where it may connect to, all through the proxy of the platform; nowhere if absent. */
  egress: z.array(EgressRuleSchema).max(100).optional(),
  /** What it gets placeholders for in its environment, by the name of the variable. */
  secrets: z
    .record(variableSchema, BoundSecretSchema)
    .refine((secrets) => Object.keys(secrets).length <= 20, 'twenty secrets at most')
    .optional(),
  volumes: z.array(ServerVolumeSchema).default([]),
  mounts: z.array(ServerMountSchema).default([]),
  /** Whom one process serves: everybody, one run, or one client's session. A server that asks its client things needs the last. */
  instance: z.enum(['shared', 'run', 'session']).default('shared'),
  memoryMb: z.number().int().min(32).max(65_536).default(256),
  ...shared,
};

/** A server reached by URL. `sse` is HTTP+SSE of 2024-11-05; with `streamable-http` that is tried too, where a server refuses the other. */
export const RemoteServerSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }),
  transport: z.enum(['streamable-http', 'sse']).default('streamable-http'),
  /** How the server knows who calls; without it no credential is sent. */
  auth: ServerAuthSchema.optional(),
  ...shared,
});

/** A server from an installed npm package; it runs in a cage. */
export const PackageServerSchema = z
  .strictObject({
    package: z.strictObject({
      npm: z.string().min(1).max(214),
      version: z.string().max(64).optional(),
      bin: z.string().max(128).optional(),
    }),
    ...processFields,
  })
  .superRefine(checkEgress);

/** A server from a command; it runs in a cage. */
export const CommandServerSchema = z
  .strictObject({ command: z.array(z.string().min(1).max(4096)).min(1), ...processFields })
  .superRefine(checkEgress);

/** Where a server comes from: exactly one of `url`, `package` and `command`. */
export const McpServerSpecSchema = z.union([RemoteServerSchema, PackageServerSchema, CommandServerSchema]);
export type McpServerSpec = z.infer<typeof McpServerSpecSchema>;
