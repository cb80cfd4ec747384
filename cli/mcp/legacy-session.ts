import { randomUUID } from 'node:crypto';
import { isObject, type JsonObject, objectAt } from '../../gateway/mcp/message.ts';
import { GatewayAway, type GatewayHttp, type HttpAnswer } from './gateway-http.ts';
import { whileAway } from './patience.ts';
import { readAnswer, refusalLine } from './read-answer.ts';
import type { RequestLine } from './rpc-line.ts';

/** A session at the gateway, as it was agreed. */
type Agreed = { id: string | undefined; version: string; capabilities: JsonObject };

const initialized = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });

/** What a client has set for its session, by what it is about: a session that takes the place of another is told it too. */
const settingOf = ({ method, params }: RequestLine): { key: string; isOn: boolean } | undefined => {
  if (method === 'logging/setLevel') return { key: method, isOn: true };
  if (method === 'resources/subscribe' || method === 'resources/unsubscribe')
    return { key: `subscribe/${params.uri}`, isOn: method === 'resources/subscribe' };
  return undefined;
};

/**
 * The session of one legacy client. When the gateway has lost it (HTTP 404), another is begun with the client's own `initialize`, and the
 * client does not notice.
 */
export const createLegacySession = ({
  http,
  signal,
  onRenewed,
}: {
  http: GatewayHttp;
  signal: AbortSignal;
  onRenewed: (changingLists: string[]) => Promise<void>;
}) => {
  const settings = new Map<string, RequestLine>();
  let first: RequestLine | undefined;
  let agreed: Agreed | undefined;
  let renewing: Promise<boolean> | undefined;

  const headers = (): Record<string, string> => ({
    accept: 'application/json, text/event-stream',
    ...(agreed?.id === undefined ? {} : { 'mcp-session-id': agreed.id }),
    ...(agreed ? { 'mcp-protocol-version': agreed.version } : {}),
  });

  const post = (body: string): Promise<HttpAnswer> =>
    http.send('POST', { 'content-type': 'application/json', ...headers() }, { body, signal });

  /** Lists that the gateway tells changes of. */
  const changingLists = (): string[] =>
    ['tools', 'prompts', 'resources'].filter((list) => objectAt(agreed?.capabilities, list).listChanged === true);

  /** @returns the text of the answer. @throws {GatewayAway} */
  const initialize = async (line: RequestLine): Promise<string> => {
    const { accept = '' } = headers();
    const answer = await http.send('POST', { 'content-type': 'application/json', accept }, { body: line.text, signal });
    if (answer.status >= 400) return refusalLine(answer, line.id);
    let reply: string | undefined;
    await readAnswer(answer, {}, async (text) => {
      const message: unknown = JSON.parse(text);
      if (isObject(message) && message.id === line.id) reply = text;
    });
    if (reply === undefined) throw new GatewayAway(true, 'the stream ended without an answer');
    const { protocolVersion, capabilities } = objectAt(JSON.parse(reply), 'result');
    const id = answer.headers['mcp-session-id'];
    if (typeof protocolVersion === 'string')
      agreed = {
        id: typeof id === 'string' ? id : undefined,
        version: protocolVersion,
        capabilities: isObject(capabilities) ? capabilities : {},
      };
    return reply;
  };

  const begin = async (line: RequestLine): Promise<boolean> => {
    const lost = agreed;
    const id = `quarterdeck-${randomUUID()}`;
    await initialize({ ...line, id, text: JSON.stringify({ ...JSON.parse(line.text), id }) });
    if (agreed === lost) return false;
    // answers to these go nowhere: the client had its own
    for (const body of [initialized, ...[...settings.values()].map(({ text }) => text)]) {
      const answer = await post(body);
      await readAnswer(answer, {}, async () => undefined);
    }
    await onRenewed(changingLists());
    return true;
  };

  return {
    headers,
    post,
    get id() {
      return agreed?.id;
    },
    initialize: (line: RequestLine): Promise<string> => {
      first = line;
      settings.clear();
      return whileAway(() => initialize(line), { signal });
    },
    /** Remembers what the client sets for its session. */
    note: (line: RequestLine): void => {
      const setting = settingOf(line);
      if (setting?.isOn) settings.set(setting.key, line);
      else if (setting) settings.delete(setting.key);
    },
    /** Begins another session in the place of a lost one. @returns whether there is one. @throws {GatewayAway} */
    renew: (lost: string | undefined): Promise<boolean> => {
      if (agreed && agreed.id !== lost) return Promise.resolve(true);
      const line = first;
      if (!line) return Promise.resolve(false);
      renewing ??= begin(line).finally(() => {
        renewing = undefined;
      });
      return renewing;
    },
    /** Tells the gateway that the client is gone. */
    end: async (): Promise<void> => {
      if (agreed?.id === undefined) return;
      const answer = await http.send('DELETE', headers(), { signal: AbortSignal.timeout(1000) }).catch(() => undefined);
      for await (const _chunk of answer?.body ?? []);
    },
  };
};
