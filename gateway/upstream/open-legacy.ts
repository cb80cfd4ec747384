import type { LogLevel } from '../../schema/mcp-revisions.ts';
import type { ClientFacts } from '../mcp/client-request.ts';
import type { JsonObject } from '../mcp/message.ts';
import type { FlightTable } from './flight-table.ts';
import { greetingOf, initializeParams, otherVersionIn } from './initialize-params.ts';
import { internalRequest } from './internal-request.ts';
import type { KeptSession } from './kept-session.ts';
import { legacyBody } from './legacy-body.ts';
import { settleRefusal } from './legacy-refusal.ts';
import { lossAtHost } from './loss-at-host.ts';
import { lossOfEnd } from './loss-of-end.ts';
import { nextRequestId } from './next-request-id.ts';
import { postMessage } from './post-message.ts';
import { type Answer, readAnswer } from './read-answer.ts';
import { readRefusal } from './refusal.ts';
import type { Greeting } from './session.ts';
import { acceptBoth, pathOf, type Wire } from './wire.ts';

/** An opened session: its id if the server gave one, and the headers that everything in it carries. */
export type OpenLegacy = { id?: string; headers: readonly string[]; greeting: Greeting; level?: LogLevel };

const longestEndMs = 500;

const openWith = ({ headers }: Wire, id: string | undefined, greeting: Greeting): OpenLegacy => ({
  ...(id === undefined ? {} : { id }),
  headers: [...headers, 'mcp-protocol-version', greeting.protocolVersion, ...(id === undefined ? [] : ['mcp-session-id', id])],
  greeting,
});

/** Ends a session at its server; whether the server takes note is its affair, and not waited for long. */
export const endLegacy = async ({ sender, url }: Wire, { id, headers }: Pick<OpenLegacy, 'id' | 'headers'>): Promise<void> => {
  if (id === undefined) return;
  await new Promise<void>((resolve) => {
    setTimeout(resolve, longestEndMs).unref();
    const request = { method: 'DELETE' as const, path: pathOf(url), headers: [...headers] };
    readAnswer(sender, request, { onMessage: () => undefined, onEnd: () => resolve() });
  });
};

/**
 * Opens a session at a legacy server, or goes on with the one that another replica opened.
 * @throws {UpstreamLost | PlatformError} `server_unavailable` when it does not greet
 */
export const openLegacy = async ({
  wire,
  client,
  kept,
  openTimeoutMs,
  flights,
  onContradiction,
}: {
  wire: Wire;
  client: Pick<ClientFacts, 'info' | 'capabilities'>;
  kept: KeptSession | undefined;
  openTimeoutMs: number;
  flights: FlightTable;
  onContradiction(): void;
}): Promise<OpenLegacy> => {
  const path = pathOf(wire.url);

  const ask = async (params: JsonObject): Promise<{ open: OpenLegacy; otherVersion: string | undefined }> => {
    const request = internalRequest('initialize', params, openTimeoutMs);
    const id = nextRequestId();
    let answer: Answer | undefined;
    let sessionId: string | undefined;
    const flight = flights.begin({
      id,
      request,
      capabilities: client.capabilities,
      abandon: () => {
        answer?.abort();
        return answer?.wasSent === true;
      },
    });
    answer = readAnswer(
      wire.sender,
      { method: 'POST', path, headers: [...acceptBoth, ...wire.headers], body: legacyBody(id, request) },
      {
        onStart: (status, headers) => {
          const given = headers['mcp-session-id'];
          if (typeof given === 'string' && given !== '') sessionId = given;
          const loss = wire.isOurHost ? lossAtHost(status, headers) : undefined;
          if (loss) flight.fail(loss);
          return loss ? { kind: 'ended' } : undefined;
        },
        onMessage: flight.receive,
        isDone: () => flight.isOver,
        onEnd: (end) => {
          if (end.kind === 'refused') settleRefusal(flight, readRefusal({ ...end, id }), { hasSession: false, onContradiction });
          else flight.fail(lossOfEnd(end, answer?.wasSent === true));
        },
      },
    );
    const reply = await flight.reply;
    const otherVersion = otherVersionIn(reply);
    const greeting = otherVersion ? { protocolVersion: otherVersion, capabilities: {} } : greetingOf(wire.name, reply);
    return { open: openWith(wire, sessionId, greeting), otherVersion };
  };

  const known = await kept?.find();
  if (known) return openWith(wire, known.id, { protocolVersion: known.protocolVersion, capabilities: {} });
  const first = await ask(initializeParams(client));
  const { open } = first.otherVersion ? await ask(initializeParams(client, first.otherVersion)) : first;
  await postMessage(wire, path, open.headers, { jsonrpc: '2.0', method: 'notifications/initialized' });
  if (open.id === undefined || !kept) return open;
  const winner = await kept.keep({ id: open.id, protocolVersion: open.greeting.protocolVersion });
  if (winner.id === open.id) return open;
  // another replica was faster: one session is enough
  void endLegacy(wire, open);
  return openWith(wire, winner.id, { ...open.greeting, protocolVersion: winner.protocolVersion });
};
