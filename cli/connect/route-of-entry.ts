import { isDeepStrictEqual } from 'node:util';
import type { Client, Route } from './client-table.ts';

type Entry = {
  url?: unknown;
  httpUrl?: unknown;
  headers?: { Authorization?: unknown };
  bearer_token_env_var?: unknown;
  command?: unknown;
  args?: unknown;
};

const guess = (entry: Entry): Route | undefined => {
  const url = entry.url ?? entry.httpUrl;
  if (typeof url === 'string' && /^https?:\/\/[^/]+\/mcp(\/|$)/.test(url)) {
    const reference = /^Bearer \$\{(?:env:|input:)?([\w-]+)\}$/.exec(String(entry.headers?.Authorization))?.[1];
    return { kind: 'http', url, tokenVariable: String(entry.bearer_token_env_var ?? reference) };
  }
  const args = Array.isArray(entry.args) ? entry.args.map(String) : [];
  const isBridge = args.some((arg, index) => arg === 'mcp' && args[index + 1] === 'stdio');
  return isBridge ? { kind: 'stdio', command: String(entry.command), args } : undefined;
};

/** What an entry of a client's configuration leads to, if it is one that `connect` writes: nothing added to it, nothing missing. */
export const routeOfEntry = (client: Client, name: string, entry: unknown): Route | undefined => {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const route = guess(entry);
  return route && isDeepStrictEqual(client.additions(name, route)[0]?.value, entry) ? route : undefined;
};
