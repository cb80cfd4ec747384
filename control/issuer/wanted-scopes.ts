import { PlatformError } from '../../schema/errors.ts';
import type { ProtectedServer } from './protected-server.ts';

/**
 * Which scopes are asked for: those that are declared and no others; where none are, what the server said that it needs, else what it says
 * that there is.
 * @param challenged - of the server's challenges so far, all together
 * @throws {PlatformError} `credential_refused` where the server needs one that is not declared
 */
export const wantedScopes = (
  { name, auth }: ProtectedServer,
  challenged: readonly string[],
  supported: readonly string[],
): readonly string[] => {
  const declared = 'scopes' in auth ? auth.scopes : [];
  if (declared.length === 0) return challenged.length > 0 ? challenged : supported;
  const beyond = challenged.filter((scope) => !declared.includes(scope));
  if (beyond.length > 0)
    throw new PlatformError(
      'credential_refused',
      `The MCP server ${name} needs the scopes ${beyond.join(' ')}, and \`spec.auth.scopes\` does not have them.`,
    );
  return declared;
};
