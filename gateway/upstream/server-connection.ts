import { PlatformError } from '../../schema/errors.ts';
import type { Era } from '../../schema/mcp-revisions.ts';
import type { ResolvedPath } from '../../schema/server-launch.ts';
import type { JsonObject, Reply } from '../mcp/message.ts';
import { ResultTooLarge } from './result-too-large.ts';
import type { ReadyEntry } from './server-entry.ts';
import type { ServerTable } from './server-table.ts';
import { isDeadline, isFault, isUnreachable } from './unavailable.ts';
import type { CallerOfServer, Connection, UpstreamRequest } from './upstream.ts';
import { UpstreamLost } from './upstream-lost.ts';

/** What begins something; whatever follows on it is never refused for want of room. */
const begins: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read', 'completion/complete']);
/** Calls end all the time: the next try is worth it soon. */
const retryInMs = 1000;

/** An open server as one caller has it; made for each call, so it is a class: see the note in flight.ts. */
export class ServerConnection implements Connection {
  readonly era: Era;
  readonly capabilities: JsonObject;
  readonly instructions?: string;
  readonly isolation: number;
  readonly resolvePaths?: (paths: string[]) => Promise<ResolvedPath[]>;
  readonly #entry: ReadyEntry;
  readonly #table: Pick<ServerTable, 'callEnded'>;
  readonly #caller: CallerOfServer | undefined;
  #isForgotten = false;

  constructor(table: Pick<ServerTable, 'callEnded'>, entry: ReadyEntry, caller: CallerOfServer | undefined) {
    const { way, greeting, isolation, resolvePaths } = entry.open;
    this.#table = table;
    this.#entry = entry;
    this.#caller = caller;
    this.era = way === 'modern' ? 'modern' : 'legacy';
    this.capabilities = greeting.capabilities;
    this.isolation = isolation;
    if (greeting.instructions !== undefined) this.instructions = greeting.instructions;
    if (resolvePaths) this.resolvePaths = resolvePaths;
  }

  get offered(): ReadonlyMap<string, string> {
    return this.#entry.open.inspection.offered;
  }

  /** No more requests go through it. */
  forget(): void {
    this.#isForgotten = true;
  }

  assertRoom(): void {
    const { shares, callsUnderWay, place } = this.#entry;
    const principal = this.#caller?.principal;
    if (principal === undefined || shares.hasRoom(principal, callsUnderWay)) return;
    throw new PlatformError(
      'calls_exhausted',
      `You have too many calls under way at the MCP server ${place.server.metadata.name}; wait until some of them have ended.`,
      { facts: { wasSent: false, retryInMs } },
    );
  }

  async request(request: UpstreamRequest): Promise<Reply> {
    const entry = this.#entry;
    const { breaker } = entry.health;
    if (request.underWay?.halted) throw new UpstreamLost(false, request.underWay.halted, 'caller');
    if (this.#isForgotten || (entry.end !== undefined && entry.callsUnderWay === 0)) throw new UpstreamLost(false);
    if (breaker.state() === 'open') throw new UpstreamLost(false, undefined, 'breaker');
    const principal = this.#caller?.principal;
    if (begins.has(request.method)) this.assertRoom();
    if (principal !== undefined) entry.shares.begin(principal);
    entry.callsUnderWay += 1;
    const startedAt = performance.now();
    try {
      const reply = await entry.open.send(this.#caller, request);
      breaker.succeeded();
      return reply;
    } catch (error) {
      if (error instanceof ResultTooLarge) breaker.succeeded();
      else if (isFault(error) && !(isDeadline(error) && entry.open.heardSince(startedAt)))
        breaker.failed({ isUnreachable: isUnreachable(error) });
      throw error;
    } finally {
      this.#table.callEnded(entry, principal);
    }
  }
}
