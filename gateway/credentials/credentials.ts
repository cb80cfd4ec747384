import type { RefusedCredential } from '../../schema/process-report.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { isPerCaller } from './auth-of.ts';
import type { AskForCredential } from './credential-client.ts';
import { type CredentialSource, createCredentialSource, type Door } from './credential-source.ts';

/** Those that nobody used for longest are forgotten first. */
const mostSources = 10_000;
/** The issuer is asked for so many at a time. */
const renewedAtOnce = 8;

export type Credentials = {
  /** @param principal - whose; undefined is the platform itself. One and the same for all where a server does not tell its callers apart. */
  of(server: StoredResource<'McpServer'>, principal: string | undefined): CredentialSource;
  /** Servers that do not take what they are sent, or for which there is nothing. */
  report(): RefusedCredential[];
  /**
   * Gets other credentials for a server: those of callers that it refused, and the one that all callers share. What a person has that still
   * works stays as it is.
   * @throws {PlatformError} what the issuer refuses with
   */
  renew(server: StoredResource<'McpServer'>): Promise<void>;
};

/** The credentials of this gateway at servers: one source for each caller and server, kept by org, project, server, its declaration, and caller. */
export const createCredentials = (parts: { ask: AskForCredential; now: () => number }): Credentials => {
  const sources = new Map<string, { source: CredentialSource; server: StoredResource<'McpServer'>; isShared: boolean }>();
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
      if (known) return known.source;
      if (sources.size >= mostSources) {
        const oldest = [...sources].sort(([, a], [, b]) => a.source.usedAt - b.source.usedAt).slice(0, mostSources / 10);
        for (const [old] of oldest) sources.delete(old);
      }
      const source = createCredentialSource({ org, project, server: name, uid, generation, principal }, { ...parts, door: doorOf(server) });
      sources.set(key, { source, server, isShared: principal === 'service' });
      return source;
    },
    report: () => {
      const refused = new Map<string, RefusedCredential>();
      for (const { source, server } of sources.values()) {
        const why = source.refusedFor();
        if (why === undefined) continue;
        const { org, project, name } = server.metadata;
        const key = `${server.uid}/${server.generation}`;
        const told = refused.get(key) ?? { org, project, server: name, callers: 0, why };
        refused.set(key, { ...told, callers: told.callers + 1 });
      }
      return [...refused.values()];
    },
    renew: async ({ uid, generation }) => {
      const ours = [...sources.values()].filter(({ server }) => server.uid === uid && server.generation === generation);
      const due = ours.filter(({ source, isShared }) => isShared || source.refusedFor() !== undefined);
      for (let at = 0; at < due.length; at += renewedAtOnce)
        await Promise.all(due.slice(at, at + renewedAtOnce).map(({ source }) => source.replace()));
    },
  };
};
