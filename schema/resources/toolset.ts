import { z } from 'zod';
import { NameSchema, ToolNameSchema } from '../ids.ts';
import { isSearchToolName } from '../search-tools.ts';
import { ResultFilterSchema } from './result-filter.ts';

const ownName = z.string().min(1).max(256);
const names = z.array(ownName).min(1).max(1000);
const everyOrNone = z.enum(['all', 'none']);

/** A pattern over URIs: `*` stands for any characters; one that begins with `!` takes out what an earlier one let in. */
const UriPatternSchema = z
  .string()
  .regex(/^!?[^\s!]\S{0,2047}$/, 'a URI in which `*` stands for any characters, such as `file:///docs/*` or `!file:///docs/private/*`');

/** What a toolset takes of one server; names are the server's own. */
export const ToolsetServerSchema = z.strictObject({
  name: NameSchema,
  /** Only these tools. */
  tools: z.union([z.array(ToolNameSchema).min(1).max(1000), everyOrNone]).default('all'),
  /** Only these prompts. */
  prompts: z.union([names, everyOrNone]).default('all'),
  /** Only resources and templates whose URI one of these patterns fits. */
  resources: z.union([z.array(UriPatternSchema).min(1).max(256), everyOrNone]).default('all'),
  /** Tools and prompts that are left out. */
  hide: z.array(ownName).max(1000).default([]),
  /** Own name of a tool or prompt -> the whole name that callers see; no prefix is put before it. */
  rename: z.record(ownName, ToolNameSchema).default({}),
  /** Own name of a tool or prompt, or a URI template -> the description that callers see. */
  describe: z.record(z.string().min(1).max(2048), z.string().min(1).max(16_384)).default({}),
  /** Tool -> argument -> its value: callers neither see nor give these arguments. */
  fix: z.record(ToolNameSchema, z.record(z.string().min(1).max(256), z.json())).default({}),
});
export type ToolsetServer = z.infer<typeof ToolsetServerSchema>;

const serversOnce = (servers: ToolsetServer[]): boolean => new Set(servers.map(({ name }) => name)).size === servers.length;

/** No two of one server get the same name: that would be a clash whatever the servers offer. */
const renamedOnce = (servers: ToolsetServer[]): boolean =>
  servers.every(({ rename }) => new Set(Object.values(rename)).size === Object.keys(rename).length);

/** Nothing is renamed to what the toolset itself is called by. */
const leavesSearchTools = ({ expose, servers }: { expose: 'all' | 'search'; servers: ToolsetServer[] }): boolean =>
  expose === 'all' || !servers.some(({ rename }) => Object.values(rename).some(isSearchToolName));

/**
 * A virtual server: which tools, prompts and resources of which servers stand behind one endpoint.
 * `prefix` puts the server's name before each name in the form that `prefix` of the spec has, `plain` keeps the server's own.
 * Two equal names fail the toolset (`fail`), or the server listed first keeps it (`priority`), or nobody has it until `rename` has told
 * them apart (`manual`). `whenServerFails` says whether the others are still listed while one server does not answer.
 * `search` lists `find_tool` and `call_tool` in place of the tools, for toolsets with more of them than a model should read.
 */
export const ToolsetSpecSchema = z
  .strictObject({
    servers: z
      .array(ToolsetServerSchema)
      .min(1)
      .max(64)
      .refine(serversOnce, 'each server once; say all about one in one place')
      .refine(renamedOnce, 'another new name for each in `rename`'),
    naming: z.enum(['prefix', 'plain']).default('prefix'),
    prefix: z
      .string()
      .regex(
        /^[A-Za-z0-9_.-]{0,32}\{server\}[A-Za-z0-9_.-]{0,32}$/,
        '`{server}` with letters, digits, `_`, `-` and `.` around it, such as `{server}__`',
      )
      .default('{server}__'),
    conflicts: z.enum(['fail', 'priority', 'manual']).default('fail'),
    whenServerFails: z.enum(['open', 'closed']).default('open'),
    expose: z.enum(['all', 'search']).default('all'),
    /** What is done to all that comes back by it, beside what its servers say. */
    filter: ResultFilterSchema.optional(),
  })
  .refine(leavesSearchTools, {
    path: ['servers'],
    message: 'nothing renamed to `find_tool` or `call_tool`, which a toolset that exposes `search` has for itself',
  });
export type ToolsetSpec = z.infer<typeof ToolsetSpecSchema>;
