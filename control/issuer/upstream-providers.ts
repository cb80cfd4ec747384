import { type IdentityProviderSpec, IdentityProviderSpecSchema } from '../../schema/resources/identity-provider.ts';
import type { Database } from '../../store/database.ts';
import { listResources } from '../../store/resources.ts';
import { resolveSecret, type SecretSources } from '../../store/secrets/references.ts';
import type { DevProvider } from './people-config.ts';

/** Where people may log in. */
export type UpstreamProvider = {
  /** `org/project/name`, or `dev`: one name among all. */
  key: string;
  title: string;
  org: string;
  spec: IdentityProviderSpec;
  /** Changes whenever the declaration does. */
  version: string;
  clientSecret(): Promise<string | undefined>;
};

const ofThisMachine = ({ org, issuer, clientId, clientSecret }: DevProvider): UpstreamProvider => ({
  key: 'dev',
  title: 'This machine',
  org,
  // its subjects are the ids of the people it knows, whose groups and roles stand in their rows
  spec: IdentityProviderSpecSchema.parse({ issuer, clientId, claims: { username: 'sub', roles: 'roles' } }),
  version: 'dev',
  clientSecret: async () => clientSecret,
});

/** Lists the login providers there are: those declared in any org, and that of this machine last. */
export const listProviders = async (
  database: Database,
  { devProvider, secrets }: { devProvider?: DevProvider | undefined; secrets: SecretSources },
): Promise<UpstreamProvider[]> => {
  const declared = (await listResources(database, { kind: 'IdentityProvider' })).flatMap((resource): UpstreamProvider[] => {
    if (resource.kind !== 'IdentityProvider') return [];
    const { metadata, spec, uid, generation } = resource;
    const { org, project, name } = metadata;
    return [
      {
        key: `${org}/${project}/${name}`,
        title: spec.displayName ?? name,
        org,
        spec,
        version: `${uid}/${generation}`,
        clientSecret: async () =>
          spec.clientSecret &&
          (await resolveSecret(spec.clientSecret, secrets, { org, project, kind: 'IdentityProvider', name, field: 'clientSecret' })),
      },
    ];
  });
  return devProvider === undefined ? declared : [...declared, ofThisMachine(devProvider)];
};
