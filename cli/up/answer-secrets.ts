import { isPlatformError } from '../../schema/errors.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { findResource } from '../../store/resources.ts';
import { resolveSecret, type SecretSources } from '../../store/secrets/references.ts';
import type { SecretAnswer, SecretRequest } from '../processes/messages.ts';

/**
 * Answers the egress process, which has none of the places where secrets are: it is told those of declared servers, by what is declared at
 * that moment, and no others.
 */
export const createSecretAnswerer = ({
  databaseUrl,
  ...sources
}: SecretSources & { databaseUrl: string }): { answer(request: SecretRequest): Promise<SecretAnswer>; close(): Promise<void> } => {
  const database = openDatabase({ url: databaseUrl, max: 1, name: 'up-secrets' });
  const read = async ({ org, project, server, variable }: SecretRequest): Promise<string> => {
    const found = await findResource(database, { org, project, kind: 'McpServer', name: server });
    const secret = found && !('url' in found.spec) ? found.spec.secrets?.[variable] : undefined;
    if (!secret) throw new TypeError(`${org}/${project}/${server} declares no secret ${variable}`);
    return resolveSecret(secret.from, sources, { org, project, kind: 'McpServer', name: server, field: `secrets.${variable}` });
  };
  return {
    answer: async (request) => {
      const { id } = request;
      try {
        return { type: 'secret', id, value: await read(request) };
      } catch (error) {
        return { type: 'secret', id, detail: isPlatformError(error) ? error.detail : 'It cannot be read.' };
      }
    },
    close: () => closeDatabase(database),
  };
};
export type SecretAnswerer = ReturnType<typeof createSecretAnswerer>;
