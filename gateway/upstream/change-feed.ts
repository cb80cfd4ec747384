import { isObject, type JsonObject, type Notification } from '../mcp/message.ts';

export type ListKind = 'tools' | 'prompts' | 'resources';
export const listKinds: readonly ListKind[] = ['tools', 'prompts', 'resources'];

export type ChangeFeedParts = {
  /** Of the server. */
  capabilities: JsonObject;
  onNotification(notification: Notification): void;
  /** Changes are told from now on; `isAgain`: some may have been missed. */
  onUp(isAgain: boolean): void;
  onDown(): void;
};

/** What a server tells by itself, on one stream for all who listen. */
export type ChangeFeed = {
  /** Whether a change of this list is told, so that nobody needs to ask. */
  tellsOf(kind: ListKind): boolean;
  /** From now on these resources are subscribed to. @returns those that the server took */
  want(uris: ReadonlySet<string>): Promise<ReadonlySet<string>>;
  /** The server has forgotten what it was told: begins anew. */
  restart(): void;
  close(): void;
};

const flagAt = (capabilities: JsonObject, name: string, flag: string): boolean => {
  const capability = capabilities[name];
  return isObject(capability) && capability[flag] === true;
};

export const listsThatTell = (capabilities: JsonObject): ListKind[] =>
  listKinds.filter((kind) => flagAt(capabilities, kind, 'listChanged'));

export const takesSubscriptions = (capabilities: JsonObject): boolean => flagAt(capabilities, 'resources', 'subscribe');
