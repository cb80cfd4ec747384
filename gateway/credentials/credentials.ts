import type { StoredResource } from '../../schema/resource.ts';
import { isPerCaller } from './auth-of.ts';
import type { AskForCredential } from './credential-client.ts';
import { type CredentialSource, createCredentialSource, type Door } from './credential-source.ts';

/** Those that nobody used for longest are forgotten first. */
const mostSources = 10_000;

export type Credentials = {
  /** @param principal - whose; undefined is the platform itself. One and the same for all where a server does not tell its callers apart. */
  of(server: StoredResource<'McpServer'>, principal: string | undefined): CredentialSource;
};

/** The credentials of this gateway at servers: one source for each caller and server, kept by org, project, server, its declaration, and caller. */
export const createCredentials = (parts: { ask: AskForCredential; now: () => number }): Credentials => {
  const sources = new Map<string, CredentialSource>();
  const doors = new Map<string, Door>();
  const doorOf = ({ uid, generation }: StoredResource<'McpServer'>): Door => {
    const key = `${uid}/${generation}`;
    const door = doors.get(key) ?? { nonce: undefined, takesProofs: true };
    // what is forgotten is learnt again by one more request
    if (doors.size >= mostSources) doors.clear();
    doors.set(key, door);
    return door;
  };
  return {
    of: (server, caller) => {
      const { metadata, uid, generation } = server;
      const principal = isPerCaller(server) && caller !== undefined ? caller : 'service';
      const { org, project, name } = metadata;
      const key = `${org}/${project}/${name}\n${uid}/${generation}\n${principal}`;
      const known = sources.get(key);
      if (known) return known;
      if (sources.size >= mostSources) {
        const oldest = [...sources].sort(([, a], [, b]) => a.usedAt - b.usedAt).slice(0, mostSources / 10);
        for (const [old] of oldest) sources.delete(old);
      }
      const source = createCredentialSource({ org, project, server: name, uid, generation, principal }, { ...parts, door: doorOf(server) });
      sources.set(key, source);
      return source;
    },
  };
};
