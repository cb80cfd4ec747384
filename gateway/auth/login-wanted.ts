import type { WantedLogin } from '../../policy/wanted-login.ts';
import { PlatformError } from '../../schema/errors.ts';

/**
 * The refusal of a use that a better login would be allowed: it says which one, in words and for the challenge of RFC 9470.
 * @param facts - by which the refusal is found again
 */
export const loginWanted = (
  name: string,
  { level, maxAgeSeconds }: WantedLogin,
  facts: Readonly<Record<string, unknown>>,
): PlatformError => {
  const how = level === undefined ? '' : level > 1 ? ` by two things or more (\`acr\` ${level})` : ` (\`acr\` ${level})`;
  const when = maxAgeSeconds === undefined ? '' : ` of the last ${maxAgeSeconds} seconds`;
  const flags = level === undefined ? '' : ` --acr ${level}`;
  return new PlatformError(
    'login_stale',
    `${name}: this takes a login${when}${how}; run \`quarterdeck login --fresh${flags}\`, and then the same again.`,
    { facts: { ...facts, ...(level === undefined ? {} : { acr: level }), ...(maxAgeSeconds === undefined ? {} : { maxAgeSeconds }) } },
  );
};
