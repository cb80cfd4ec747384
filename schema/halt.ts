import { z } from 'zod';
import { NameSchema } from './ids.ts';

/** What can be halted; `org` and `project` are everything there, `person` is somebody and every agent that acts for them. */
export const haltScopes = ['org', 'project', 'fleet', 'run', 'agent', 'role', 'server', 'model', 'person'] as const;
export const HaltScopeSchema = z.enum(haltScopes);
export type HaltScope = z.infer<typeof HaltScopeSchema>;

/** Scopes that are the same in each project of an org: their halts have no project. */
export const orgWideScopes: ReadonlySet<HaltScope> = new Set(['org', 'person']);
/** Scopes that a place has one of: their halts have no name. */
export const namelessScopes: ReadonlySet<HaltScope> = new Set(['org', 'project']);

/** Names one halt: `project` is empty for what is halted in the whole org, `name` for the org or project itself. */
export const HaltKeySchema = z.object({
  org: NameSchema,
  project: z.union([NameSchema, z.literal('')]),
  scope: HaltScopeSchema,
  name: z.string().max(512),
});
export type HaltKey = z.infer<typeof HaltKeySchema>;

/** The brake on something: nothing new starts for it until a person lifts that. */
export const HaltSchema = HaltKeySchema.extend({ reason: z.string(), haltedBy: z.string(), haltedAt: z.string() });
export type Halt = z.infer<typeof HaltSchema>;

/** What `POST …/halts` and `…/halts/lift` are told. */
export const HaltRequestSchema = z
  .strictObject({
    scope: HaltScopeSchema.default('org'),
    /** An agent's is its whole id; others are plain names. */
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9_/-]{0,511}$/, 'the name of what is halted, such as `survey`')
      .optional(),
    reason: z.string().trim().max(500).default(''),
  })
  .refine(({ scope, name }) => namelessScopes.has(scope) === (name === undefined), {
    message: 'a name for all but `org` and `project`, which are those of the request',
    path: ['name'],
  });
export type HaltRequest = z.infer<typeof HaltRequestSchema>;

/** The key of what a request names, in the place that it is made for. */
export const haltKeyOf = (
  { org, project }: { org: string; project: string },
  { scope, name }: Pick<HaltRequest, 'scope' | 'name'>,
): HaltKey => ({
  org,
  project: orgWideScopes.has(scope) ? '' : project,
  scope,
  name: name ?? '',
});

/** As people write it, and as the audit names it: `org`, `server/echo`. */
export const haltName = ({ scope, name }: Pick<HaltKey, 'scope' | 'name'>): string => (name === '' ? scope : `${scope}/${name}`);
