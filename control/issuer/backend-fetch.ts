import { isLoopbackName } from '../../schema/redirect-uri.ts';
import type { GuardedFetch } from './guarded-fetch.ts';

const answerWithinMs = 10_000;

export type BackendFetch = (url: string, init?: RequestInit) => Promise<Response>;

const isLoopback = (url: string): boolean => isLoopbackName(new URL(url).hostname);

/** Whether secrets may go there: by https, or to this machine. */
export const isSafePlace = (url: string): boolean => new URL(url).protocol === 'https:' || isLoopback(url);

/** To addresses that an administrator wrote down; no redirect is followed, for it could carry a secret elsewhere. */
const declaredFetch: BackendFetch = (url, init = {}) =>
  fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(answerWithinMs) });

/**
 * The fetch for one address: what is declared, or is on the same origin as what is declared, is fetched as it is. What a server merely
 * names is fetched on the public internet alone, or on this machine where the server is on it too.
 * @param declared - URLs that an administrator wrote down
 */
export const createBackendFetch =
  (guardedFetch: GuardedFetch, declared: readonly (string | undefined)[]): BackendFetch =>
  (url, init) => {
    const urls = declared.filter((each) => each !== undefined);
    const { origin } = new URL(url);
    const isKnown = urls.some((each) => new URL(each).origin === origin) || (isLoopback(url) && urls.some(isLoopback));
    return isKnown ? declaredFetch(url, init) : guardedFetch(url, init);
  };
