import type { LexicalFacts } from './argument-facts.ts';

/** `.`, `/`, `\`, `%`, NUL and other control characters in disguise: what a server could read in another way than a policy does. */
const disguised = /%(2e|2f|5c|25|7f|[01][0-9a-f])/i;

const hasControlCharacter = (text: string): boolean => [...text].some((character) => character < ' ' || character === '\u007f');

const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
};

const isPlain = (uri: string): boolean =>
  /^[a-z][a-z0-9+.-]*:./i.test(uri) &&
  uri === uri.normalize('NFC') &&
  !uri.includes('\\') &&
  !hasControlCharacter(uri) &&
  !disguised.test(uri) &&
  decoded(uri) !== undefined &&
  !uri
    .split(/[?#]/, 1)[0]
    ?.split('/')
    .some((segment) => segment === '.' || segment === '..');

/**
 * What a policy sees of the URI of a resource. Servers choose their own schemes, so only spellings that could name another resource
 * than they seem to are called not canonical; a `file:` URI is the path that it names.
 */
export const uriFacts = (uri: string): LexicalFacts => {
  const facts: LexicalFacts = { paths: [], urls: [], hosts: [], canonical: isPlain(uri), bytes: Buffer.byteLength(uri) };
  const url = URL.canParse(uri) ? new URL(uri) : undefined;
  if (!url) return { ...facts, urls: [uri] };
  if (url.protocol === 'file:') {
    const path = decoded(url.pathname) ?? url.pathname;
    const isLocal = url.hostname === '' && !path.includes('//') && url.search === '' && url.hash === '';
    return { ...facts, paths: [path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path], canonical: facts.canonical && isLocal };
  }
  return { ...facts, urls: [url.href], hosts: url.hostname === '' ? [] : [url.hostname.replace(/\.$/, '')] };
};
