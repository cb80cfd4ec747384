const loopbackNames: ReadonlySet<string> = new Set(['127.0.0.1', '[::1]', 'localhost']);

/** Schemes by which a browser would run or read something instead of going to an application. */
const dangerousSchemes: ReadonlySet<string> = new Set(
  ['javascript', 'data', 'vbscript', 'file', 'filesystem', 'blob', 'about', 'view-source', 'ftp', 'ws', 'wss'].map(
    (scheme) => `${scheme}:`,
  ),
);

/** Whether a host name is this machine's own. */
export const isLoopbackName = (hostname: string): boolean => loopbackNames.has(hostname);

/**
 * Whether a client may have people sent back to an address: https, a loopback address (RFC 8252 §7.3), or an application's own scheme: one
 * with a dot in it (§7.1), or, as editors have it, one that names the application after `//`.
 */
export const isSafeRedirectUri = (address: string): boolean => {
  if (!URL.canParse(address) || address.includes('#')) return false;
  const { protocol, hostname } = new URL(address);
  if (protocol === 'https:') return true;
  if (protocol === 'http:') return isLoopbackName(hostname);
  return !dangerousSchemes.has(protocol) && (protocol.includes('.') || /^[a-z][a-z0-9+.-]*:\/\/[^/?]/i.test(address));
};
