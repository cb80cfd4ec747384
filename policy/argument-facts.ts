import type { ArgumentKind } from '../schema/resources/mcp-server.ts';

/** What a policy sees of a call's arguments. `roots` are the names of all volumes that its paths touch, and
 * `(none)` where one is in no volume: `roots == ["input"]` holds a call to one. */
export type ArgumentFacts = { paths: string[]; roots: string[]; urls: string[]; hosts: string[]; canonical: boolean; bytes: number };
/** The same before links are resolved: `canonical` is about spelling alone. */
export type LexicalFacts = Omit<ArgumentFacts, 'roots'>;

const pathName =
  /(^|_)(path|paths|file|files|filename|filenames|filepath|dir|dirs|directory|directories|folder|folders|source|destination|root|roots|cwd)$/;
const urlName = /(^|_)(url|urls|uri|uris|href|endpoint|link)$/;
const hostName = /(^|_)(host|hosts|hostname|domain|server|address)$/;

const snakeCase = (name: string): string =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase();

const readName = (name: string): ArgumentKind => {
  const snake = snakeCase(name);
  if (urlName.test(snake)) return 'url';
  if (pathName.test(snake)) return 'path';
  if (hostName.test(snake)) return 'host';
  return 'text';
};

/** Tools have few different names of arguments, and use them again and again. */
const mostNames = 10_000;
const readNames = new Map<string, ArgumentKind>();

/** What an argument is by its name, where the server's resource does not say it. */
export const kindOfName = (name: string): ArgumentKind => {
  const known = readNames.get(name);
  if (known !== undefined) return known;
  const kind = readName(name);
  if (readNames.size >= mostNames) readNames.clear();
  if (name.length <= 128) readNames.set(name, kind);
  return kind;
};

const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i;

const controlCharacters = (text: string): boolean => {
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 32 || code === 127) return true;
  }
  return false;
};

/** A path is spelled plainly when a server cannot read it in another way than a policy does. */
const isPlainPath = (path: string): boolean =>
  path !== '' &&
  !path.includes('\\') &&
  !path.includes('//') &&
  !/%(2e|2f|5c|00|25)/i.test(path) &&
  !path.split('/').some((segment) => segment === '..' || segment === '.') &&
  !path.startsWith('~') &&
  path === path.normalize('NFC') &&
  !controlCharacters(path);

const withoutTrailingSlash = (path: string): string => (path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path);

type Collected = { paths: Set<string>; urls: Set<string>; hosts: Set<string>; canonical: boolean };

const addPath = (collected: Collected, path: string): void => {
  if (!isPlainPath(path)) collected.canonical = false;
  collected.paths.add(withoutTrailingSlash(path));
};

const addUrl = (collected: Collected, text: string): void => {
  if (!hasScheme.test(text)) {
    // a relative reference means something only to the server; a policy cannot judge it
    collected.canonical = false;
    collected.urls.add(text);
    return;
  }
  if (!URL.canParse(text)) {
    collected.canonical = false;
    collected.urls.add(text);
    return;
  }
  const url = new URL(text);
  if (url.protocol === 'file:') {
    addPath(collected, decodeURIComponentSafely(url.pathname));
    if (/%|\.\.|\\/.test(text) || url.hostname !== '') collected.canonical = false;
    return;
  }
  if (url.username !== '' || url.password !== '' || controlCharacters(text) || text.includes('\\')) collected.canonical = false;
  // WHATWG parsing folds case, default ports, dots and odd spellings of IPv4; another spelling than the folded one is not plain
  if (url.href !== text && `${url.href}` !== `${text}/` && url.href.toLowerCase() !== text.toLowerCase()) collected.canonical = false;
  collected.urls.add(url.href);
  if (url.hostname.endsWith('.')) collected.canonical = false; // another name of the same host
  if (url.hostname !== '') collected.hosts.add(url.hostname.replace(/\.$/, ''));
};

const decodeURIComponentSafely = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

const addHost = (collected: Collected, text: string): void => {
  const candidate = `http://${text}/`;
  const host = URL.canParse(candidate) ? new URL(candidate).hostname : '';
  if (host === '' || host.endsWith('.') || host !== text.replace(/:\d+$/, '')) collected.canonical = false;
  collected.hosts.add((host || text).replace(/\.$/, ''));
};

const visit = (collected: Collected, value: unknown, kind: ArgumentKind, kinds: Readonly<Record<string, ArgumentKind>>): void => {
  if (typeof value === 'string') {
    if (kind === 'path') value.startsWith('file:') ? addUrl(collected, value) : addPath(collected, value);
    else if (kind === 'url') addUrl(collected, value);
    else if (kind === 'host') addHost(collected, value);
    return;
  }
  if (Array.isArray(value)) for (const element of value) visit(collected, element, kind, kinds);
  else if (typeof value === 'object' && value !== null)
    for (const [name, inner] of Object.entries(value)) visit(collected, inner, kinds[name] ?? kindOfName(name), kinds);
};

/**
 * Turns arguments into the facts that a policy decides on, as far as their spelling tells.
 * @param kinds - what arguments of this tool mean, from the server's resource; names decide for the rest
 */
export const lexicalFacts = (
  argumentsOfCall: Readonly<Record<string, unknown>>,
  kinds: Readonly<Record<string, ArgumentKind>> = {},
): LexicalFacts => {
  const collected: Collected = { paths: new Set(), urls: new Set(), hosts: new Set(), canonical: true };
  visit(collected, argumentsOfCall, 'text', kinds);
  return {
    paths: [...collected.paths].sort(),
    urls: [...collected.urls].sort(),
    hosts: [...collected.hosts].sort(),
    canonical: collected.canonical,
    bytes: Buffer.byteLength(JSON.stringify(argumentsOfCall)),
  };
};
