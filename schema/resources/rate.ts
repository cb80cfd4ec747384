import { z } from 'zod';
import { ToolNameSchema } from '../ids.ts';

/** Whose calls a rate counts together: those of everybody, or each person's (their agents' too), role's, run's or agent's own. */
export const RateEachSchema = z.enum(['all', 'person', 'role', 'run', 'agent']);
export type RateEach = z.infer<typeof RateEachSchema>;

const shared = {
  each: RateEachSchema.default('all'),
  /** So many calls in each window, over all gateways together. */
  calls: z.number().int().min(1).max(10_000_000).optional(),
  /** The length of a window; windows follow one another from the full hour, or day, on. */
  perSeconds: z.number().int().min(1).max(86_400).default(60),
  /** So many calls under way at a time, at each gateway. */
  atOnce: z.number().int().min(1).max(100_000).optional(),
  /**
   * While Postgres cannot say how many calls are left: `closed` refuses, `conservative` lets each gateway make a tenth of the calls of a
   * window by itself.
   */
  whenStoreFails: z.enum(['closed', 'conservative']).default('closed'),
};

const saysHowMany = ({ calls, atOnce }: { calls?: number | undefined; atOnce?: number | undefined }): boolean =>
  calls !== undefined || atOnce !== undefined;
const howMany = { message: 'how many: `calls` in a window, or `atOnce`', path: ['calls'] };

/** How often something may be called. A call that is one too many is refused, and told when to come again. */
export const RateSchema = z.strictObject(shared).refine(saysHowMany, howMany);
/** The same for a server: of all its tools, prompts and resources, or of some of its tools, under the server's own names. */
export const ServerRateSchema = z
  .strictObject({ ...shared, tools: z.array(ToolNameSchema).min(1).max(200).optional() })
  .refine(saysHowMany, howMany);
/** The same for a project: of its tools, prompts, resources and models together, or of streams that stand open (`atOnce` alone). */
export const ProjectRateSchema = z
  .strictObject({ ...shared, of: z.enum(['calls', 'streams']).default('calls') })
  .refine(saysHowMany, howMany)
  .refine(({ of, calls }) => of === 'calls' || calls === undefined, { message: 'nothing but `atOnce` for `streams`', path: ['calls'] });
export type Rate = z.infer<typeof RateSchema> &
  Partial<Pick<z.infer<typeof ServerRateSchema>, 'tools'> & Pick<z.infer<typeof ProjectRateSchema>, 'of'>>;

export const mostRates = 50;
