import { createHash } from 'node:crypto';
import { NameSchema } from '../../schema/ids.ts';
import { machinePrefix } from '../../schema/machine-person.ts';
import type { Database } from '../../store/database.ts';
import { putIssuerRecordOnce } from '../../store/issuer-records.ts';
import { recordLogin } from '../../store/record-login.ts';
import { listResources } from '../../store/resources.ts';
import type { CompanyKeys } from './company-keys.ts';
import type { PeopleConfig } from './people-config.ts';
import { AssertionRefused, readClaimed, verifyIdJag, verifySubjectToken, verifyWorkload } from './read-assertion.ts';
import { readLogin } from './read-login.ts';
import { listProviders, type UpstreamProvider } from './upstream-providers.ts';

/** Who somebody is by what they brought, until when, and how the audit calls that. */
export type AssertedBy = { org: string; person: string; stamp: string; endsAtSeconds: number };

/** An assertion that was used before: somebody has got hold of it. */
export class AssertionReplayed extends AssertionRefused {}

const clientIssuer = 'urn:quarterdeck:oauth-clients';
/** How long after its end an assertion would still be taken, by clocks that differ. */
const skewSeconds = 60;

/** When something is shown, and the key that its bearer has proven with it (thumbprint), if any. */
export type Moment = { now: Date; provenKey: string | undefined };

type Client = { org: string; project: string; name: string };
const clientOf = (clientId: string): Client => {
  const [org = '', project = '', name = ''] = clientId.split('/');
  return { org, project, name };
};

/** Says who is behind what a client brings in place of a login: a company's token or assertion, a machine's own token, or its own secret. */
export const createAdmission = ({
  database,
  people,
  issuerUrl,
  keys,
}: {
  database: Database;
  people: PeopleConfig;
  issuerUrl: string;
  keys: CompanyKeys;
}) => {
  /** The declared provider that a token names, if it lets such tokens in; the client's own org alone. */
  const providerOf = async (token: string, org: string, accepts: (provider: UpstreamProvider) => boolean): Promise<UpstreamProvider> => {
    const { issuer } = readClaimed(token);
    const found = (await listProviders(database, { secrets: people.secrets })).filter(
      (provider) => provider.org === org && provider.spec.issuer === issuer && accepts(provider),
    );
    const [provider] = found;
    if (provider === undefined) throw new AssertionRefused('its issuer is none whose tokens are taken here');
    return provider;
  };

  const personIn = async ({ org, spec }: UpstreamProvider, claims: Readonly<Record<string, unknown>>): Promise<string> => {
    const read = readLogin(org, spec, claims);
    if (!read.ok) throw new AssertionRefused(read.reason);
    // one that says nothing of groups does not take them away
    const groups = Object.hasOwn(claims, spec.claims.groups) ? read.login.groups : undefined;
    return recordLogin(database, { ...read.login, groups, roles: groups === undefined ? undefined : read.login.roles });
  };

  /** The person that a client is by itself: made at its first token. */
  const machineOf = async ({ org, project, name }: Client): Promise<string> => {
    const username = `${machinePrefix}${project}-${name}`;
    if (!NameSchema.safeParse(username).success) throw new AssertionRefused('the name of the client is too long to be a person’s');
    return recordLogin(database, { org, issuer: clientIssuer, subject: `${org}/${project}/${name}`, username, groups: undefined });
  };

  return {
    clientOf,
    byToken: async (clientId: string, token: string, { now, provenKey }: Moment): Promise<AssertedBy> => {
      const { org } = clientOf(clientId);
      const provider = await providerOf(token, org, ({ spec }) => spec.accepts.tokenExchange !== undefined);
      const claims = await verifySubjectToken(token, { keys: keys.keysOf(provider), provider, provenKey, now });
      return { org, person: await personIn(provider, claims), stamp: 'token-exchange', endsAtSeconds: claims.exp };
    },

    /**
     * @param isOurs - whether a resource is one of this installation; checked before the assertion is used up
     * @throws {AssertionRefused}, {AssertionReplayed}
     */
    byIdJag: async (clientId: string, assertion: string, isOurs: (resource: string) => boolean, { now, provenKey }: Moment) => {
      const { org } = clientOf(clientId);
      const provider = await providerOf(assertion, org, ({ spec }) => spec.accepts.idJag);
      const claims = await verifyIdJag(assertion, { keys: keys.keysOf(provider), provider, issuerUrl, clientId, provenKey, now });
      // for us, and for something that is not ours: one of the two is a lie (SEC-3)
      if (!isOurs(claims.resource)) throw new AssertionRefused('its resource is none of this installation');
      const name = createHash('sha256')
        .update(JSON.stringify([claims.iss, claims.jti]))
        .digest('base64url');
      const until = new Date((claims.exp + skewSeconds) * 1000);
      if (!(await putIssuerRecordOnce(database, 'IdJag', name, {}, until))) throw new AssertionReplayed('it was used already');
      const by: AssertedBy = { org, person: await personIn(provider, claims), stamp: 'id-jag', endsAtSeconds: claims.exp };
      return { by, claims };
    },

    bySecret: async (clientId: string): Promise<AssertedBy> => {
      const client = clientOf(clientId);
      return { org: client.org, person: await machineOf(client), stamp: 'client', endsAtSeconds: Number.POSITIVE_INFINITY };
    },

    /** Finds the one client that a machine's own token is declared for. */
    byWorkload: async (token: string, { now, provenKey }: Moment): Promise<{ by: AssertedBy; clientId: string }> => {
      const claimed = readClaimed(token);
      const declared = (await listResources(database, { kind: 'OAuthClient' })).flatMap((resource) => {
        if (resource.kind !== 'OAuthClient') return [];
        const workload = resource.spec.workloads.find(({ issuer, subject }) => issuer === claimed.issuer && subject === claimed.subject);
        return workload ? [{ client: resource.metadata, workload }] : [];
      });
      const [found, ...others] = declared;
      if (found === undefined || others.length > 0)
        throw new AssertionRefused('no client, or more than one, is declared for this workload');
      const { client, workload } = found;
      const { exp } = await verifyWorkload(token, { ...workload, keys: keys.keysAt(workload.jwksUri), issuerUrl, provenKey, now });
      return {
        by: { org: client.org, person: await machineOf(client), stamp: 'workload', endsAtSeconds: exp },
        clientId: `${client.org}/${client.project}/${client.name}`,
      };
    },
  };
};
export type Admission = ReturnType<typeof createAdmission>;
