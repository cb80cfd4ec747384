import { PlatformError } from '../../schema/errors.ts';
import { inPlainNumbers } from '../../schema/exact-json.ts';
import { instanceHeader } from '../../schema/host-headers.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { credentialErrorIn } from '../credentials/credential-error.ts';
import { isObject, type JsonObject, rpcCodes } from '../mcp/message.ts';
import type { Offered } from '../pins/pin-offered.ts';
import { parameterHeadersOf } from '../surface/parameter-headers.ts';
import { internalRequest } from './internal-request.ts';
import { ResultTooLarge } from './result-too-large.ts';
import type { Session } from './session.ts';

const maxPages = 100;
const maxItems = 10_000;

/** What is listed, in order: the first answer says which process it is of. */
const lists = [
  { kind: 'tool', method: 'tools/list', key: 'tools', capability: 'tools', what: 'tools' },
  { kind: 'prompt', method: 'prompts/list', key: 'prompts', capability: 'prompts', what: 'prompts' },
  { kind: 'template', method: 'resources/templates/list', key: 'resourceTemplates', capability: 'resources', what: 'resource templates' },
] as const;
type List = (typeof lists)[number];

export type Listed = {
  offered: Offered;
  /** The process of our host that gave the first page. */
  instance: string | undefined;
};

/**
 * Lists all that a server offers under a name: tools, prompts and resource templates.
 * @param name - as people know the server
 * @param checksHeaders - leaves out tools whose `x-mcp-header` annotations break the rules: over HTTP they could not be called as they should
 * @param timeoutMs - for all lists together
 * @throws {PlatformError} `server_unavailable`, also when a list does not come to an end
 */
export const listOffered = async ({
  session,
  name,
  capabilities,
  checksHeaders,
  timeoutMs,
  logger,
}: {
  session: Session;
  name: string;
  capabilities: JsonObject;
  checksHeaders: boolean;
  timeoutMs: number;
  logger: Logger;
}): Promise<Listed> => {
  const until = performance.now() + timeoutMs;
  let instance: string | undefined;
  let isFirst = true;
  const unavailable = (what: string, cause?: unknown) =>
    new PlatformError('server_unavailable', `The MCP server ${name} ${what}`, { cause });

  const page = async (list: List, cursor: string | undefined): Promise<JsonObject | undefined> => {
    const leftMs = Math.max(1, until - performance.now());
    const request = internalRequest(list.method, cursor === undefined ? {} : { cursor }, leftMs);
    // how things stood at the first page: any change after that is found by the host when a call comes
    const onHeaders = (headers: Record<string, unknown>): void => {
      if (isFirst && typeof headers[instanceHeader] === 'string') instance = headers[instanceHeader];
      isFirst = false;
    };
    const reply = await session.send(request, { onHeaders }).catch((cause: unknown) => {
      throw (
        credentialErrorIn(cause) ??
        unavailable(cause instanceof ResultTooLarge ? `lists too many ${list.what} at once.` : `does not list its ${list.what}.`, cause)
      );
    });
    // definitions are compared, stored and compiled: in numbers as everybody reads them
    if (reply.kind === 'result') return inPlainNumbers(reply.result) as JsonObject;
    const isMissing = reply.error.code === rpcCodes.methodNotFound;
    if (isMissing && (list.kind === 'template' || !isObject(capabilities[list.capability]))) return {};
    if (list.kind === 'tool') throw unavailable(`does not list its tools: ${reply.error.message.slice(0, 300)}`);
    logger.warn({ server: name, code: reply.error.code }, `a server does not list its ${list.what}`);
    return undefined;
  };

  const all = async (list: List): Promise<unknown[] | undefined> => {
    const items: unknown[] = [];
    const cursors = new Set<string>();
    let cursor: string | undefined;
    for (let pages = 1; pages <= maxPages && items.length <= maxItems; pages += 1) {
      const result = await page(list, cursor);
      if (!result) return undefined;
      const listed = result[list.key];
      if (Array.isArray(listed)) items.push(...listed);
      cursor = typeof result.nextCursor === 'string' ? result.nextCursor : undefined;
      if (cursor === undefined) return items;
      if (cursors.has(cursor)) throw unavailable(`lists its ${list.what} in a circle.`);
      cursors.add(cursor);
    }
    throw unavailable(`lists its ${list.what} without end: more than ${maxPages} pages or ${maxItems} of them.`);
  };

  const isCallable = (tool: unknown): boolean => {
    if (!checksHeaders || !isObject(tool)) return true;
    const headers = parameterHeadersOf(tool.inputSchema);
    if (!headers.ok)
      logger.warn({ server: name, tool: tool.name, reason: headers.reason }, 'a tool is left out: its `x-mcp-header` is invalid');
    return headers.ok;
  };

  const offered: Offered = {};
  for (const list of lists) {
    // some servers have tools and do not say so
    const isAsked = list.kind === 'tool' || isObject(capabilities[list.capability]);
    const items = isAsked ? await all(list) : [];
    if (items) offered[list.kind] = list.kind === 'tool' ? items.filter(isCallable) : items;
  }
  return { offered, instance };
};
