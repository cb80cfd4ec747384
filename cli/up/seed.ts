import { createHmac, randomBytes } from 'node:crypto';
import { defaultTenancy } from '../../schema/ids.ts';
import { resourceSchemas } from '../../schema/resource.ts';
import { apiVersion } from '../../schema/resources/metadata.ts';
import { closeDatabase, openDatabase } from '../../store/database.ts';
import { findPerson, linkPeople, replacePersonToken, seedPeople } from '../../store/people.ts';
import { applyResources, findResource } from '../../store/resources.ts';
import type { Ports } from './ports.ts';

export type Profile = 'dev' | 'solo' | 'production';
export type SeededTokens = { adminToken?: string; reviewerToken?: string };

const { org, project } = defaultTenancy;

const seeds = [
  { id: 'admin', stamp: 'admin-token', roles: ['administrator'], groups: [], profiles: ['dev', 'solo'] },
  { id: 'reviewer', stamp: 'reviewer-token', roles: ['reviewer'], groups: ['reviewers'], profiles: ['dev'] },
] as const;

/** The issuer of this platform, and the login provider of this machine. */
export const issuerUrlOf = (ports: Pick<Ports, 'issuer'>): string => `http://127.0.0.1:${ports.issuer}`;
export const devIdpUrl = (ports: Pick<Ports, 'dev-idp'>): string => `http://127.0.0.1:${ports['dev-idp']}`;

/** The same at each start of an installation, so that what people have connected goes on working. */
const tokenOf = (tokenKey: string, id: string): string => `qd_${createHmac('sha256', tokenKey).update(`${org}/${id}`).digest('base64url')}`;

/** Nobody ever sees it: it only takes the place of one that ends. */
const unseenToken = (): string => `qd_${randomBytes(32).toString('base64url')}`;

/**
 * Makes the org and the project `default`, and the people of the profile with their tokens; the tokens of people whom the profile does
 * not have end here. What was declared since is left as it is.
 * @param tokenKey - a key of the installation, from which the tokens are made
 * @param loginIssuer - the login provider of this machine, which vouches for these people
 * @returns the tokens, of which the database keeps hashes alone
 */
export const seed = async (databaseUrl: string, profile: Profile, tokenKey: string, loginIssuer?: string): Promise<SeededTokens> => {
  const database = openDatabase({ url: databaseUrl, max: 1, name: 'up' });
  try {
    const wanted = seeds.filter(({ profiles }) => (profiles as readonly Profile[]).includes(profile));
    await seedPeople(
      database,
      org,
      wanted.map(({ id, roles, groups }) => ({ id, roles: [...roles], groups: [...groups] })),
    );
    const ids = wanted.map(({ id }) => id);
    if (loginIssuer !== undefined && ids.length > 0) await linkPeople(database, org, loginIssuer, ids);
    if (!(await findResource(database, { org, project, kind: 'Project', name: project })))
      await applyResources(database, [
        resourceSchemas.Project.parse({ apiVersion, kind: 'Project', metadata: { name: project, org, project }, spec: {} }),
      ]);
    const tokens = new Map<string, string>();
    for (const { id, stamp } of seeds) {
      if (!(await findPerson(database, org, id))) continue;
      const isWanted = wanted.some((person) => person.id === id);
      const token = isWanted ? tokenOf(tokenKey, id) : unseenToken();
      await replacePersonToken(database, { org, personId: id, stamp, token });
      if (isWanted) tokens.set(id, token);
    }
    const adminToken = tokens.get('admin');
    const reviewerToken = tokens.get('reviewer');
    return { ...(adminToken ? { adminToken } : {}), ...(reviewerToken ? { reviewerToken } : {}) };
  } finally {
    await closeDatabase(database);
  }
};
