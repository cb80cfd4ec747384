import { isPlatformError, type PlatformError } from '../../schema/errors.ts';

/** The refusal or failure of a credential in whatever came of it: callers are told that, and it does not speak against the server. */
export const credentialErrorIn = (error: unknown): PlatformError | undefined => {
  for (let link = error; link instanceof Error; link = link.cause) if (isPlatformError(link) && link.facts.wasSent === false) return link;
  return undefined;
};
