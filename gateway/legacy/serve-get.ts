import { PlatformError } from '../../schema/errors.ts';
import { isLegacyVersion } from '../../schema/mcp-revisions.ts';
import type { WatchStream } from '../auth/create-stream-guard.ts';
import { refuse } from '../edge/answer-json.ts';
import { unsupportedVersion } from '../edge/choose-era.ts';
import type { EdgeRequest } from '../edge/legacy-edge.ts';
import { rpcCodes } from '../mcp/message.ts';
import { sessionUnknown } from './answer-error.ts';
import type { RequestStreams } from './create-request-streams.ts';
import type { Sessions } from './create-sessions.ts';
import type { StandingStreams } from './create-standing-streams.ts';
import { parseEventId } from './event-id.ts';
import { unknownClient } from './read-client.ts';
import { assumedVersion, takesPriming } from './revision-facts.ts';
import { ownerWithoutSession } from './serve-post.ts';
import type { Session } from './session.ts';

type EventPlace = { stream: string; sequence: number };

/** Serves streams to legacy clients: a session's own, any that was broken off, and that of HTTP+SSE. */
export const createGetServer = ({
  sessions,
  requestStreams,
  standing,
  ownerOf,
  watchStream,
}: {
  sessions: Sessions;
  requestStreams: RequestStreams;
  standing: StandingStreams;
  /** Whose a stream is. */
  ownerOf: (stream: string) => Promise<string | undefined>;
  watchStream: WatchStream;
}) => {
  const versionOf = ({ request }: EdgeRequest): string => String(request.headers['mcp-protocol-version'] ?? assumedVersion);
  const unknownStream = (): PlatformError =>
    new PlatformError('stream_unknown', 'Last-Event-ID names no stream of yours, or events that are kept no more; open a new stream.');
  const placeOf = ({ request }: EdgeRequest): EventPlace | undefined => {
    const text = request.headers['last-event-id'];
    if (text === undefined || text === '') return undefined;
    const place = parseEventId(String(text));
    if (!place) throw unknownStream();
    return place;
  };

  /** Goes on with a request's stream. @returns false when it is none of this owner */
  const resumeRequest = async (from: EdgeRequest, place: EventPlace, owner: string, isPrimed: boolean): Promise<boolean> => {
    const { response } = from;
    const outcome = await requestStreams.resume({ ...place, owner, isPrimed, response, watch: (end) => watchStream(from, end) });
    // a reader that gets this connects no more: it has had everything
    if (outcome === 'over') response.writeHead(204).end();
    return outcome !== 'unknown';
  };

  const readStanding = async (from: EdgeRequest, session: Session, after?: EventPlace, endpoint?: string): Promise<void> => {
    const isFound = await standing.read({
      from,
      session,
      isPrimed: takesPriming(session.client.protocolVersion),
      ...(after ? { after } : {}),
      ...(endpoint === undefined ? {} : { endpoint }),
    });
    if (!isFound) throw unknownStream();
  };

  const readSession = async (from: EdgeRequest, text: string, place: EventPlace | undefined): Promise<void> => {
    const session = await sessions.find(text, from.principal, from.endpoint);
    if (session?.transport !== 'streamable') throw sessionUnknown();
    if (place && (await resumeRequest(from, place, session.id, takesPriming(session.client.protocolVersion)))) return;
    return readStanding(from, session, place);
  };

  /** Where a client of HTTP+SSE sends its messages: relative, so that it is right behind any proxy. */
  const endpointFor = ({ request }: EdgeRequest, text: string): string => `${request.url?.split('?')[0]}?session=${text}`;

  const readSse = async (from: EdgeRequest, place: EventPlace | undefined): Promise<void> => {
    const { principal, endpoint, request } = from;
    if (!place) {
      const client = unknownClient(String(request.headers['mcp-protocol-version'] ?? '2024-11-05'));
      const { session, text } = await sessions.begin(principal, endpoint, { transport: 'sse', client });
      return readStanding(from, session, undefined, endpointFor(from, text));
    }
    if (await resumeRequest(from, place, ownerWithoutSession(from), takesPriming(versionOf(from)))) return;
    const owner = await ownerOf(place.stream);
    const session = owner === undefined ? undefined : await sessions.takeUp(owner, principal, endpoint);
    if (session?.transport !== 'sse') throw unknownStream();
    return readStanding(from, session, place, endpointFor(from, sessions.addText(session)));
  };

  /** @throws {PlatformError} `session_unknown`, `sessions_exhausted`, `stream_unknown`, `store_unavailable` */
  return async (from: EdgeRequest): Promise<void> => {
    const { request, response } = from;
    if (!request.headers.accept?.includes('text/event-stream'))
      return refuse(response, 406, null, { code: rpcCodes.invalidRequest, message: 'Accept text/event-stream; there is nothing else.' });
    const version = versionOf(from);
    if (!isLegacyVersion(version)) return refuse(response, 400, null, unsupportedVersion(version));
    const place = placeOf(from);
    const text = request.headers['mcp-session-id'];
    if (text !== undefined) return readSession(from, String(text), place);
    // clients of streamable HTTP have a session; those of HTTP+SSE come back without it when their stream broke
    return readSse(from, place);
  };
};
