import { z } from 'zod';
import { SecrecySchema } from '../flow-label.ts';
import { NameSchema } from '../ids.ts';

/**
 * A value in a stage's input: a literal, or an object with one of these keys alone.
 * `from` is a dotted path: `inputs.NAME` (a text, or the name of a folder), `item` (of `forEach`), `stages.STAGE.outputs` (all answers in
 * order), `stages.STAGE.output.FIELD` (of its only agent), `stages.STAGE.unfinished` (elements whose agents are not done) or
 * `run.id`, `run.fleet`, `run.quality`. `template` is Liquid text rendered over the same names.
 */
export const ExpressionSchema = z.union([
  z.strictObject({ from: z.string().min(1).max(256) }),
  z.strictObject({ template: z.string().min(1).max(32_768) }),
]);
export type Expression = z.infer<typeof ExpressionSchema>;

export const StageSchema = z.strictObject({
  name: NameSchema,
  role: NameSchema,
  /** A dotted path to a list: one agent for each distinct element. Without it, one agent. */
  forEach: z.string().min(1).max(256).optional(),
  input: z.record(z.string(), z.json()).default({}),
});
export type Stage = z.infer<typeof StageSchema>;

/** What agents carry that are given an input: how secret it is, and whether strangers may have written it. */
const inputFlow = { secrecy: SecrecySchema.optional(), source: z.boolean().optional() };

/** What a run is given: a folder of the host, mounted read-only under the volume's name, or a text. */
export const FleetInputSchema = z.discriminatedUnion('type', [
  z.strictObject({
    name: NameSchema,
    type: z.literal('folder'),
    volume: NameSchema,
    description: z.string().max(500).optional(),
    default: z.string().max(4096).optional(),
    ...inputFlow,
  }),
  z.strictObject({
    name: NameSchema,
    type: z.literal('text'),
    description: z.string().max(500).optional(),
    default: z.string().max(32_768).optional(),
    ...inputFlow,
  }),
]);
export type FleetInput = z.infer<typeof FleetInputSchema>;

/** Stages of roles over inputs. A stage begins when the one before has ended; `concurrency` bounds the agents at work. */
export const FleetSpecSchema = z
  .strictObject({
    description: z.string().max(1000).optional(),
    inputs: z.array(FleetInputSchema).default([]),
    /** A folder of the run that servers may mount `rw`; `file` is the result that the run names when it is done. */
    output: z
      .strictObject({
        volume: NameSchema,
        file: z
          .string()
          .regex(/^[^/\\]+$/, 'a file name without folders')
          .optional(),
      })
      .optional(),
    concurrency: z.number().int().min(1).max(1000).default(4),
    /** `agents`: so many in one run, all stages together (1,000); a stage that would make more of them starts none. */
    limits: z.strictObject({ agents: z.number().int().min(1).max(100_000).optional() }).optional(),
    stages: z.array(StageSchema).min(1).max(32),
  })
  .refine((fleet) => new Set(fleet.stages.map((stage) => stage.name)).size === fleet.stages.length, {
    message: 'stages with names of their own',
    path: ['stages'],
  });
export type FleetSpec = z.infer<typeof FleetSpecSchema>;
