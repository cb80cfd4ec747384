import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { StoredResource } from '../../schema/resource.ts';
import type { ServerAuth } from '../../schema/resources/server-auth.ts';
import type { Database } from '../../store/database.ts';
import { findResource, setCondition } from '../../store/resources.ts';
import type { SecretOwner } from '../../store/secrets/secret-owner.ts';

/** An MCP server by URL that is sent a credential, as it is declared now. */
export type ProtectedServer<Auth extends ServerAuth = Exclude<ServerAuth, { kind: 'none' }>> = Tenancy & {
  name: string;
  uid: string;
  generation: number;
  url: string;
  auth: Auth;
};
export type OfKind<Kind extends ServerAuth['kind']> = ProtectedServer<Extract<ServerAuth, { kind: Kind }>>;

export const isOfKind = <Kind extends ServerAuth['kind']>(server: ProtectedServer, kind: Kind): server is OfKind<Kind> & ProtectedServer =>
  server.auth.kind === kind;

/** Who refers to a secret of the server's. */
export const secretOwnerOf = ({ org, project, name }: ProtectedServer, field: string): SecretOwner => ({
  ...{ org, project, name, field },
  kind: 'McpServer',
});

const protectedBy = ({ metadata, spec, uid, generation }: StoredResource<'McpServer'>): ProtectedServer | undefined => {
  if (!('url' in spec) || spec.auth === undefined || spec.auth.kind === 'none') return undefined;
  const { org, project, name } = metadata;
  return { org, project, name, uid, generation, url: spec.url, auth: spec.auth };
};

/** @throws {PlatformError} `not_found` when it is not declared, or takes no credential */
export const findProtectedServer = async (database: Database, key: Tenancy & { name: string }): Promise<ProtectedServer> => {
  const { org, project, name } = key;
  const resource = await findResource(database, { org, project, kind: 'McpServer', name });
  const server = resource && protectedBy(resource);
  if (!server) throw new PlatformError('not_found', `There is no MCP server ${name} in ${org}/${project} that takes a credential.`);
  return server;
};

/** Says how a server stands with its credentials; said once as long as it stays so. */
export const createCredentialTeller = (database: Database, clock: () => Date) => {
  const said = new Map<string, string>();
  return async (server: ProtectedServer, status: 'True' | 'False', reason: string, message: string): Promise<void> => {
    const { org, project, name, uid, generation } = server;
    const text = `${generation} ${status} ${reason} ${message}`;
    if (said.get(uid) === text) return;
    if (said.size >= 10_000) said.clear();
    said.set(uid, text);
    const condition = { type: 'Credentials', status, reason, message, observedGeneration: generation };
    await setCondition(database, { org, project, kind: 'McpServer', name }, condition, clock());
  };
};
export type TellCredentials = ReturnType<typeof createCredentialTeller>;
