import { z } from 'zod';
import { SecrecySchema } from '../flow-label.ts';
import { NameSchema } from '../ids.ts';

const texts = z.array(z.string().max(4096)).max(256).default([]);
/** `server/name`: a definition or a resource as its server names it. */
const ofServer = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]*\/\S{1,2048}$/, "a server's name, `/`, and the name that the server gives it, such as `files/read_file`");
const behind = {
  toolset: NameSchema,
  isolation: z.number().int().min(0).max(9).default(1),
  sink: z.boolean().default(false),
  maxSecrecy: SecrecySchema.default(0),
};
const hints = {
  readOnly: z.boolean().default(false),
  destructive: z.boolean().default(false),
  idempotent: z.boolean().default(false),
  openWorld: z.boolean().default(false),
};

/** Who asks: an agent of a role, for a person; or a person. */
export const GoldenPrincipalSchema = z.union([
  z.strictObject({
    agentRole: NameSchema,
    person: NameSchema.default('somebody'),
    fleet: NameSchema.default('some-fleet'),
    assignedPaths: texts,
    quarantined: z.boolean().default(false),
  }),
  z.strictObject({
    person: NameSchema,
    groups: z.array(NameSchema).max(64).default([]),
    roles: z.array(NameSchema).max(16).default([]),
    disabled: z.boolean().default(false),
  }),
]);

/** What it is about, in the project of the PolicySet. */
export const GoldenResourceSchema = z.union([
  z.strictObject({ tool: ofServer, ...behind, ...hints }),
  z.strictObject({ prompt: ofServer, ...behind }),
  z.strictObject({ template: ofServer, ...behind }),
  z.strictObject({ resource: ofServer, ...behind }),
  z.strictObject({ model: NameSchema, quality: z.string().max(64).default('standard'), maxSecrecy: SecrecySchema.default(0) }),
  z.strictObject({ fleet: NameSchema }),
  z.strictObject({ agentRole: NameSchema }),
  z.strictObject({ declared: z.string().regex(/^[A-Za-z]+\/[a-z0-9-]+$/, 'a kind and a name, such as `Fleet/survey`') }),
]);

/** What is known of a call; what is left out is empty, plainly spelled and of no size. */
export const GoldenContextSchema = z.strictObject({
  paths: texts,
  roots: texts,
  urls: texts,
  hosts: texts,
  canonical: z.boolean().default(true),
  bytes: z.number().int().min(0).default(0),
  maxTokens: z.number().int().min(0).default(0),
  /** What the caller carries of all that it has read. */
  secrecy: SecrecySchema.default(0),
  tainted: z.boolean().default(false),
  run: z.string().max(64).default(''),
  hasHuman: z.boolean().default(true),
  /** Seconds since the login of who approves, and how well it proved who they are. */
  authAge: z.number().int().min(0).default(0),
  acr: z.number().int().min(0).max(9).default(2),
  /** Of a call, for the Rego of the PolicySets: what the server would get. */
  arguments: z.record(z.string(), z.json()).default({}),
  /** Of a resource that is applied, for the same. */
  manifest: z.record(z.string(), z.json()).optional(),
  /** People of the project's organisation who approved this very call; whoever they are, the call counts as approved. */
  approvedBy: z.array(NameSchema).max(16).default([]),
});

/** A decision that the policies of a project have to make; a change that makes another one is not published. */
export const GoldenDecisionSchema = z.strictObject({
  name: z.string().min(1).max(256),
  principal: GoldenPrincipalSchema,
  action: z.enum([
    'listTool',
    'callTool',
    'listPrompt',
    'getPrompt',
    'listResource',
    'readResource',
    'listModel',
    'invokeModel',
    'launchFleet',
    'useRole',
    'applyResource',
    'deleteResource',
    'manageRun',
    'releaseLabel',
    'approveServer',
    'getResource',
    'readAudit',
  ]),
  resource: GoldenResourceSchema,
  context: GoldenContextSchema.prefault({}),
  /** Of the project. */
  environment: z.string().max(64).default('development'),
  frozen: z.boolean().default(false),
  /** `needsPerson`: allowed once people approved this very call, and not before. */
  expect: z.enum(['allow', 'deny', 'needsPerson']),
});
export type GoldenDecision = z.infer<typeof GoldenDecisionSchema>;
