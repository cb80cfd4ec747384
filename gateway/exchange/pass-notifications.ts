import { type LogLevel, logLevels } from '../../schema/mcp-revisions.ts';
import type { Masker } from '../mask/create-masker.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { type JsonObject, type Notification, objectAt } from '../mcp/message.ts';
import { withoutHopMeta } from './translate-question.ts';

/** Under which the client wants to hear of progress; undefined where it does not. */
export const progressTokenOf = (params: JsonObject): unknown => objectAt(params, '_meta').progressToken;

const isWanted = (level: unknown, lowest: LogLevel | undefined): boolean =>
  lowest !== undefined && logLevels.indexOf(level as LogLevel) >= logLevels.indexOf(lowest);

/**
 * What a server says in the middle of a request, for the client of that request: progress under the client's own token, and the log
 * messages that it wants. Everything else is nobody's here. Resolves when the client can take more.
 */
export const passNotifications =
  ({ params, logLevel, notify }: Pick<ClientRequest, 'params' | 'logLevel' | 'notify'>, mask?: Masker) =>
  ({ method, params: spoken = {} }: Notification): Promise<void> | void => {
    const said = mask ? mask.json(spoken, {}) : spoken;
    if (method === 'notifications/progress') {
      const progressToken = progressTokenOf(params);
      if (progressToken !== undefined) return notify({ method, params: { ...withoutHopMeta(said), progressToken } });
    }
    if (method === 'notifications/message' && isWanted(said.level, logLevel)) return notify({ method, params: withoutHopMeta(said) });
  };
