import { createHash } from 'node:crypto';
import { PlatformError } from '../../schema/errors.ts';
import type { GatewayContext } from '../gateway-context.ts';
import { isObject } from '../mcp/message.ts';
import { hashesOf, pinOffered } from '../pins/pin-offered.ts';
import { type ParameterHeader, parameterHeadersOf } from '../surface/parameter-headers.ts';
import type { ListKind } from './change-feed.ts';
import { isDeclared } from './is-declared.ts';
import { listOffered } from './list-offered.ts';
import type { Greeting, Session } from './session.ts';
import type { McpServer } from './upstream-pool.ts';

/** What is offered is written down again after so long, though nothing changed. */
const longestUnwrittenMs = 60_000;

const listOf = { tool: 'tools', prompt: 'prompts', template: 'resources' } as const;

/** What a server offered when it was last looked at, compared with its pins. */
export type Inspection = {
  /** Hash of each definition; keys are `kind/name`. */
  readonly offered: ReadonlyMap<string, string>;
  /** The process of our host that was looked at. */
  readonly instance: string | undefined;
  /** When, in milliseconds; long ago once it may have changed. */
  readonly lookedAt: number;
  /** `Mcp-Param-*` headers by tool, of those tools that have any. */
  headersOf(tool: string): readonly ParameterHeader[] | undefined;
  markStale(): void;
  /** @returns which lists are other than at the last look. @throws {PlatformError} `server_unavailable`, `store_unavailable` */
  look(timeoutMs: number): Promise<ListKind[]>;
};

const changedLists = (before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): ListKind[] => {
  const isOther = (key: string): boolean => before.get(key) !== after.get(key);
  const kinds = [...before.keys(), ...after.keys()].filter(isOther).map((key) => key.slice(0, key.indexOf('/')) as keyof typeof listOf);
  return [...new Set(kinds.map((kind) => listOf[kind]))];
};

const headersByTool = (tools: readonly unknown[] = []): Map<string, readonly ParameterHeader[]> => {
  const byTool = new Map<string, readonly ParameterHeader[]>();
  for (const tool of tools) {
    if (!isObject(tool) || typeof tool.name !== 'string') continue;
    const read = parameterHeadersOf(tool.inputSchema);
    if (read.ok && read.headers.length > 0) byTool.set(tool.name, read.headers);
  }
  return byTool;
};

export const createInspection = ({
  context,
  server,
  name,
  session,
  greeting,
  checksHeaders,
  isOfOneSession,
}: {
  context: GatewayContext;
  server: McpServer;
  /** As people know it, with its address. */
  name: string;
  session: Session;
  greeting: Greeting;
  checksHeaders: boolean;
  /** What a server offers to one client is compared with the pins, and changes none: to another it may offer more. */
  isOfOneSession: boolean;
}): Inspection => {
  let offered: ReadonlyMap<string, string> = new Map();
  let headers = new Map<string, readonly ParameterHeader[]>();
  let instance: string | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let written: { digest: string; at: number } | undefined;

  return {
    get offered() {
      return offered;
    },
    get instance() {
      return instance;
    },
    get lookedAt() {
      return lookedAt;
    },
    headersOf: (tool) => headers.get(tool),
    markStale: () => {
      lookedAt = Number.NEGATIVE_INFINITY;
    },
    look: async (timeoutMs) => {
      // before the lists are asked for: a change that is told meanwhile must not be taken as seen
      const at = context.now();
      lookedAt = at;
      try {
        const listed = await listOffered({
          session,
          name,
          capabilities: greeting.capabilities,
          checksHeaders,
          timeoutMs,
          logger: context.logger,
        });
        if (!isDeclared(context, server))
          throw new PlatformError(
            'server_unavailable',
            `The MCP server ${server.metadata.name} was changed or deleted meanwhile; try again in a moment.`,
          );
        const digest = createHash('sha1').update(JSON.stringify(listed.offered)).digest('base64');
        if (written?.digest === digest && at - written.at < longestUnwrittenMs) {
          instance = listed.instance;
          return [];
        }
        const before = offered;
        const isFirst = written === undefined;
        offered = isOfOneSession ? hashesOf(listed.offered) : await pinOffered(context, server, listed.offered);
        instance = listed.instance;
        headers = checksHeaders ? headersByTool(listed.offered.tool) : new Map();
        written = { digest, at };
        return isFirst ? [] : changedLists(before, offered);
      } catch (error) {
        lookedAt = Number.NEGATIVE_INFINITY;
        throw error;
      }
    },
  };
};
