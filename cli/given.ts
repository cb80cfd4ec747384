import { z } from 'zod';

/** An empty variable counts as one that is not set, as most programs have it. */
export const given = <T extends z.ZodType>(schema: T) => z.preprocess((value) => (value === '' ? undefined : value), schema.optional());
