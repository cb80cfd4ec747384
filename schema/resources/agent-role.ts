import { z } from 'zod';
import { NameSchema, ToolNameSchema } from '../ids.ts';
import { untypedPart } from '../typed-output.ts';
import { mostRates, RateSchema } from './rate.ts';

/** What an agent of the role may use up; each is reserved before a call. Tokens count prompt and answer together. */
export const AgentLimitsSchema = z.strictObject({
  steps: z.number().int().min(1).max(1000).default(12),
  calls: z.number().int().min(0).max(10_000).default(24),
  tokens: z.number().int().min(100).max(100_000_000).default(60_000),
  timeSeconds: z
    .number()
    .int()
    .min(1)
    .max(30 * 86_400)
    .default(900),
  /** The same call with the same arguments, so often at most: who makes it again and again is in a loop. */
  sameCalls: z.number().int().min(1).max(10_000).optional(),
  /** Of the arguments of one call, as JSON. */
  argumentBytes: z.number().int().min(1).max(4_194_304).optional(),
  /** Of the result of one call, as JSON; a larger one is not handed over. */
  resultBytes: z.number().int().min(1).max(16_777_216).optional(),
});
export type AgentLimits = z.infer<typeof AgentLimitsSchema>;

/**
 * An agent as data. `requiredCalls` are tools that must have succeeded before an answer counts;
 * `output` is a JSON Schema (2020-12) of the answer, an object at its root. In it `x-from: seen` holds a text to what stood in the
 * agent's input or in a result of its calls, `x-from: input` to its input alone, and
 * `x-from: results` to what it found and was not given: an answer that invents a path is not accepted.
 * `release: typed` lets later stages have the answer without the labels of what the agent read; its schema holds no words then.
 */
export const AgentRoleSpecSchema = z
  .strictObject({
    instructions: z.string().min(1).max(32_768),
    model: NameSchema,
    toolset: NameSchema.optional(),
    limits: AgentLimitsSchema.prefault({}),
    /** Of all agents of the role, or each of them. */
    rates: z.array(RateSchema).max(mostRates).optional(),
    requiredCalls: z.array(ToolNameSchema).default([]),
    release: z.literal('typed').optional(),
    output: z.record(z.string(), z.unknown()).refine((schema) => schema.type === 'object', 'a JSON Schema whose root has `type: object`'),
  })
  .refine((role) => role.requiredCalls.length === 0 || role.toolset !== undefined, {
    message: 'a toolset, since the role has `requiredCalls`',
    path: ['toolset'],
  })
  .superRefine(({ release, output }, context) => {
    const part = release === 'typed' ? untypedPart(output) : undefined;
    if (part === undefined) return;
    const message = `with \`release: typed\` numbers, booleans, dates (\`format\`) and choices (\`enum\`) alone, in objects with \`additionalProperties: false\` and arrays of at most 100; ${part} can hold words`;
    context.addIssue({ code: 'custom', message, path: ['output'] });
  });
export type AgentRoleSpec = z.infer<typeof AgentRoleSpecSchema>;
