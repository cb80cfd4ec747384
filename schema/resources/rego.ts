import { z } from 'zod';
import { NameSchema } from '../ids.ts';

/** Which tools it is asked about: each part that is given has to fit; `*` in `tool` stands for any characters. */
export const RegoToolsSchema = z.strictObject({
  toolset: NameSchema.optional(),
  server: NameSchema.optional(),
  /** As the server names it. */
  tool: z.string().min(1).max(256).default('*'),
});
export type RegoTools = z.infer<typeof RegoToolsSchema>;

const ModuleSchema = z.strictObject({
  /** File name, for messages. */
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}\.rego$/, 'a file name such as `statements.rego`'),
  text: z.string().min(1).max(65_536),
});

/**
 * Rego of a PolicySet, asked about documents that Cedar has allowed: arguments of tools, and manifests that are applied. Its rules
 * `data.quarterdeck.deny` and `data.quarterdeck.allow` may refuse; they can allow nothing that is refused.
 */
export const RegoPolicySchema = z
  .strictObject({
    modules: z
      .array(ModuleSchema)
      .min(1)
      .max(16)
      .refine((modules) => new Set(modules.map(({ name }) => name)).size === modules.length, 'another name for each module'),
    tools: z.array(RegoToolsSchema).max(256).default([]),
    /** Kinds of resources, asked about when they are applied. */
    manifests: z
      .array(z.string().regex(/^[A-Z][A-Za-z]+$/, 'a kind such as `McpServer`'))
      .max(32)
      .default([]),
    /** Of one evaluation; what takes longer is ended, and refused. */
    timeLimitMs: z.number().int().min(5).max(500).default(100),
  })
  .refine(({ tools, manifests }) => tools.length + manifests.length > 0, {
    error: 'at least one of `tools` and `manifests`: nothing is asked otherwise',
    path: ['tools'],
  });
export type RegoPolicy = z.infer<typeof RegoPolicySchema>;

/** What a publication carries of compiled Rego, so that whoever evaluates it needs no compiler. */
export type CompiledRego = {
  /** SHA-256 of the WebAssembly, hexadecimal. */
  digest: string;
  /** Program and version, such as `opa 1.22.4`. */
  compiler: string;
  /** The WebAssembly: gzip, base64. Empty where only the record of a decision is kept. */
  wasm: string;
};
export type DeclaredRego = RegoPolicy & { compiled?: CompiledRego };

export const regoFailures = [
  'time-limit',
  'memory-limit',
  'input-too-large',
  'input-too-deep',
  'undefined',
  'result-unusable',
  'evaluation-failed',
  'module-unusable',
  'not-compiled',
  'busy',
] as const;
/** Why an evaluation gave no usable answer; each of them refuses. */
export type RegoFailure = (typeof regoFailures)[number];

/** What became of asking the Rego of one PolicySet, as a row of the audit has it. */
export type RegoOutcome = {
  policySet: string;
  /** Digest of the WebAssembly that was asked; null where there was none. */
  bundle: string | null;
  outcome: 'pass' | 'deny' | RegoFailure;
  /** Ids of the rules that denied, such as `rego/guards/no-drop`, or of the PolicySet's Rego as a whole. */
  rules: string[];
  /** What they say, or why there was no answer. */
  messages: string[];
  durationMs: number;
};
