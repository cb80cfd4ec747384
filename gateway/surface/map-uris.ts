import { isObject, type JsonObject } from '../mcp/message.ts';

const mapped = /^mcp\+([a-z0-9.-]+)\+(.+)$/s;

/** A URI, or URI template, as it is exposed where another server of the endpoint has the same one: `mcp+{key}+{uri}`. */
export const mappedUri = (key: string, uri: string): string => `mcp+${key}+${uri}`;

/** The source's key and the server's own URI; undefined for a URI that is not mapped. */
export const parseMappedUri = (uri: string): { key: string; uri: string } | undefined => {
  const [, key, own] = mapped.exec(uri) ?? [];
  return key === undefined || own === undefined ? undefined : { key, uri: own };
};

type Rewrite = (uri: string) => string;

const atUri = (value: unknown, rewrite: Rewrite): unknown => {
  if (!isObject(value) || typeof value.uri !== 'string') return value;
  const uri = rewrite(value.uri);
  return uri === value.uri ? value : { ...value, uri };
};

/** A list with each element changed; the list itself where none was. */
const each = (list: unknown, change: (element: unknown) => unknown): unknown => {
  if (!Array.isArray(list)) return list;
  const changed = list.map(change);
  return changed.every((element, index) => element === list[index]) ? list : changed;
};

const inBlock = (block: unknown, rewrite: Rewrite): unknown => {
  if (!isObject(block)) return block;
  if (block.type === 'resource_link') return atUri(block, rewrite);
  if (block.type !== 'resource') return block;
  const resource = atUri(block.resource, rewrite);
  return resource === block.resource ? block : { ...block, resource };
};

const inMessage = (message: unknown, rewrite: Rewrite): unknown => {
  if (!isObject(message)) return message;
  const content = Array.isArray(message.content)
    ? each(message.content, (block) => inBlock(block, rewrite))
    : inBlock(message.content, rewrite);
  return content === message.content ? message : { ...message, content };
};

/**
 * Rewrites the URIs that a result names: of contents, links and embedded resources, in results of tools, prompts and resources alike.
 * The result itself comes back where nothing changes; what tools say in text or structured content is theirs.
 */
export const mapUris = (result: JsonObject, rewrite: Rewrite): JsonObject => {
  const changes = {
    contents: each(result.contents, (contents) => atUri(contents, rewrite)),
    content: each(result.content, (block) => inBlock(block, rewrite)),
    messages: each(result.messages, (message) => inMessage(message, rewrite)),
  };
  const changed = Object.entries(changes).filter(([key, value]) => value !== result[key]);
  return changed.length === 0 ? result : { ...result, ...Object.fromEntries(changed) };
};

/** The URIs that `mapUris` would rewrite. */
export const urisOf = (result: JsonObject): ReadonlySet<string> => {
  const uris = new Set<string>();
  mapUris(result, (uri) => {
    uris.add(uri);
    return uri;
  });
  return uris;
};

/** Whether a mapped URI may stand anywhere in a value; nearly all arguments have none, and need not be gone through in earnest. */
const mayHoldMapped = (value: unknown): boolean => {
  if (typeof value === 'string') return value.startsWith('mcp+');
  if (typeof value !== 'object' || value === null) return false;
  for (const key in value) if (mayHoldMapped((value as JsonObject)[key])) return true;
  return false;
};

/** Arguments for a server in its own spelling: where a caller hands back a mapped URI of this source, the server gets its own. */
export const unmapArguments = (key: string, value: JsonObject): JsonObject => {
  const unmap = (inner: unknown): unknown => {
    if (typeof inner === 'string') {
      const parsed = inner.startsWith('mcp+') ? parseMappedUri(inner) : undefined;
      return parsed?.key === key ? parsed.uri : inner;
    }
    if (Array.isArray(inner)) return each(inner, unmap);
    return isObject(inner) ? unmapObject(inner) : inner;
  };
  const unmapObject = (object: JsonObject): JsonObject => {
    const entries = Object.entries(object).map(([name, inner]) => [name, unmap(inner)] as const);
    return entries.every(([name, inner]) => inner === object[name]) ? object : Object.fromEntries(entries);
  };
  return mayHoldMapped(value) ? unmapObject(value) : value;
};
