import { z } from 'zod';

/** Text that can stand in an argument list or an environment: without NUL. */
const textSchema = z
  .string()
  .max(32_768)
  .refine((text) => !text.includes('\0'), 'must not hold a NUL character');

const absolutePathSchema = textSchema.refine((path) => path.startsWith('/'), 'must be an absolute path');

/** Where a cage has something of its own; nothing else can be mounted there. */
const ownPlaces = [
  '/usr',
  '/bin',
  '/lib',
  '/lib64',
  '/proc',
  '/dev',
  '/sys',
  '/scratch',
  '/tmp',
  '/opt/node',
  '/opt/server',
  '/opt/egress',
];

/** Whether `path` is `folder` or lies below it; both absolute, without a trailing slash. */
export const isAtOrBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

const cagePathSchema = z
  .string()
  .max(200)
  .regex(/^(\/[A-Za-z0-9._-]+)+$/, 'must be an absolute path of letters, digits, dots, dashes and underscores')
  .refine((path) => !path.split('/').some((part) => part === '.' || part === '..'), 'must not hold . or .. as a part')
  .refine((path) => !ownPlaces.some((place) => isAtOrBelow(path, place) || isAtOrBelow(place, path)), 'is a place the cage uses itself');

const modeSchema = z.enum(['ro', 'rw']);

const hiddenNameSchema = z
  .string()
  .min(1)
  .max(255)
  .refine((name) => !/[/\0]/.test(name) && name !== '.' && name !== '..', 'must be one name, without a slash');

const variableSchema = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/);

const programSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('npm'),
    package: z.string().regex(/^(@[a-z0-9][a-z0-9._-]*\/)?[a-z0-9][a-z0-9._-]*$/, 'must be the name of an npm package'),
    version: z.string().max(100).optional(),
    bin: z.string().max(100).optional(),
  }),
  z.strictObject({ kind: z.literal('command'), command: z.array(textSchema.min(1)).min(1).max(20) }),
]);

/**
 * What the host is told to run: one stdio MCP server, its folders and its limits.
 * `id` is `org/project/server`, followed by what it serves alone where that is not everybody: a run, a session key, or both. It names the
 * instance; another `digest` for the same id replaces its process. It shows in process lists and logs, so a session key is a hash.
 * `instance: session` = the process serves one client: it hears what that client can do, may ask it things, and ends when its last session is
 * deleted. `idleSeconds` without a request stop an instance; 600 if absent for `session`, and never for `shared`.
 * `egress` lets it reach what the egress process allows the server, and names the variables that get placeholders; without it there is no network.
 * `volumes` are folders agents speak about, seen by the server at `at`; every entry in them named in `hide` is covered.
 * `mounts` are folders of the server itself. `limits.memoryMb` bounds the JavaScript heap of npm servers, 512 if absent.
 */
export const ServerLaunchSchema = z
  .strictObject({
    id: z
      .string()
      .max(400)
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*){2,4}$/, 'must be org/project/server, with a run and a session key'),
    digest: z.string().min(1).max(200),
    instance: z.enum(['shared', 'session']).default('shared'),
    idleSeconds: z.int().min(1).max(604_800).optional(),
    program: programSchema,
    args: z.array(textSchema).max(200).default([]),
    env: z
      .record(variableSchema, textSchema)
      .refine((env) => Object.keys(env).length <= 100, 'holds more than 100 variables')
      .default({}),
    egress: z.strictObject({ secrets: z.array(variableSchema).max(20) }).optional(),
    volumes: z
      .array(
        z.strictObject({
          hostPath: absolutePathSchema,
          at: cagePathSchema,
          mode: modeSchema,
          hide: z.array(hiddenNameSchema).max(100).default([]),
        }),
      )
      .max(20)
      .default([]),
    mounts: z
      .array(z.strictObject({ source: absolutePathSchema, at: cagePathSchema, mode: modeSchema }))
      .max(20)
      .default([]),
    limits: z
      .strictObject({ memoryMb: z.int().min(32).max(65_536).optional(), processes: z.int().min(8).max(4_096).optional() })
      .optional(),
  })
  .superRefine((launch, context) => {
    const places = [...launch.volumes, ...launch.mounts].map(({ at }) => at);
    // One folder inside another would undo what the outer one hides.
    const clash = places.find((place, index) => places.some((other, otherIndex) => otherIndex !== index && isAtOrBelow(place, other)));
    if (clash !== undefined) context.addIssue({ code: 'custom', path: ['volumes'], message: `${clash} lies in another volume or mount` });
  });
export type ServerLaunch = z.infer<typeof ServerLaunchSchema>;
/** A launch as callers write it, defaults left out. */
export type ServerLaunchInput = z.input<typeof ServerLaunchSchema>;

/**
 * Answer to `PUT /instances/{id}`. `isolation` is the proved tier: 1 caged, 0 a bare process. `era` is how the process is spoken to (absent in
 * answers of an older host: `legacy`). `serverInfo` and `protocolVersion` are not known of a legacy `session` instance before its `initialize`.
 */
export const ReadyInstanceSchema = z.object({
  state: z.literal('ready'),
  isolation: z.union([z.literal(0), z.literal(1)]),
  pid: z.int(),
  era: z.enum(['legacy', 'modern']).default('legacy'),
  serverInfo: z.looseObject({ name: z.string(), version: z.string() }).optional(),
  protocolVersion: z.string().optional(),
});
export type ReadyInstance = z.infer<typeof ReadyInstanceSchema>;

export const ResolvePathsRequestSchema = z.strictObject({ paths: z.array(z.string().max(4_096)).max(500) });

/**
 * What a path inside the cage really names. `canonical` is the cage path without links, `.` and `..`, or null when it leaves its volume (`escapes`).
 * A hidden entry does not exist. `volumes` is the `at` of the volume that holds the path, or null.
 */
export const ResolvedPathSchema = z.object({
  path: z.string(),
  canonical: z.string().nullable(),
  exists: z.boolean(),
  escapes: z.boolean(),
  volumes: z.string().nullable(),
});
export type ResolvedPath = z.infer<typeof ResolvedPathSchema>;
export const ResolvePathsAnswerSchema = z.object({ paths: z.array(ResolvedPathSchema) });
