import type { Configuration } from 'openid-client';
import type { BackendGrant } from '../../store/backend-grants.ts';
import { configurationFor } from './client-configuration.ts';
import type { Authorization, FindAuthorization } from './create-authorization-finder.ts';
import type { GrantClients } from './grant-client.ts';
import type { OfKind } from './protected-server.ts';

/** How the issuer of a grant is asked about it. */
export type ReachedGrant = { found: Authorization; configuration: Configuration };
/** @param isAnew - what is remembered of the issuer does not count */
export type ReachGrant = (server: OfKind<'userGrant'>, grant: Pick<BackendGrant, 'issuer'>, isAnew: boolean) => Promise<ReachedGrant>;

/** Finds the issuer that gave a grant, and no other one, and the client that we are there. */
export const createGrantReach =
  ({ findAuthorization, clients }: { findAuthorization: FindAuthorization; clients: GrantClients }): ReachGrant =>
  async (server, grant, isAnew) => {
    const found = await findAuthorization(server, { bound: grant.issuer, isAnew });
    return { found, configuration: configurationFor(found.metadata, await clients(server, found, { registers: false }), found.fetch) };
  };
