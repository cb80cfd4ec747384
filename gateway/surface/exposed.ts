import type { Tenancy } from '../../schema/ids.ts';
import type { ToolsetServer } from '../../schema/resources/toolset.ts';
import type { Definition } from '../../store/definition.ts';
import type { Masker } from '../mask/create-masker.ts';
import type { JsonObject } from '../mcp/message.ts';
import type { McpServer } from '../upstream/upstream-pool.ts';
import { unmapArguments } from './map-uris.ts';
import type { ParameterHeader } from './parameter-headers.ts';

/** A server as one toolset has it. */
export type Source = {
  tenancy: Tenancy;
  toolset: string;
  server: McpServer;
  /** What the toolset says of the server. */
  part: ToolsetServer;
  whenServerFails: 'open' | 'closed';
  /** Whether its tools are listed, or found and called by the two tools of the toolset. */
  expose: 'all' | 'search';
  /** Says at this endpoint which source a mapped URI belongs to: `server`, or at bare `/mcp` `project.toolset.server`. */
  key: string;
  /** For what comes back; undefined where nothing is masked. */
  mask?: Masker;
};

/** A tool, prompt or resource template as callers see it; routing goes by tables of these, never by splitting names. */
export type Exposed = Source & {
  /** What callers call it; for a template its URI template. */
  name: string;
  /** As the server has it, under its own name. */
  pinned: Definition;
  /** As callers see it: renamed, narrowed, described anew. */
  shown: JsonObject;
  /** Arguments of a tool that the toolset sets; `argumentsOf` puts them in. */
  fixed: JsonObject;
  /** `Mcp-Param-*` headers that a modern client sends along with a call, by the schema that it sees. */
  headers: readonly ParameterHeader[];
};

/** The arguments that the server gets: the caller's, with URIs as the server spells them, and over them what the toolset sets. */
export const argumentsOf = ({ key, fixed }: Pick<Exposed, 'key' | 'fixed'>, given: JsonObject): JsonObject => {
  const own = unmapArguments(key, given);
  return Object.keys(fixed).length === 0 ? own : { ...own, ...fixed };
};
