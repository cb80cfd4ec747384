import type { BackendGrant, GrantKey } from '../../store/backend-grants.ts';
import type { OfKind } from './protected-server.ts';

export const grantKeyOf = (server: OfKind<'userGrant'>, personId: string): GrantKey => ({
  org: server.org,
  project: server.project,
  server: server.name,
  personId,
});

/** Whether a grant is of this very server, as it is declared now. */
export const isGrantOf = (server: OfKind<'userGrant'>, grant: BackendGrant): boolean =>
  grant.serverUid === server.uid && grant.url === server.url && (server.auth.issuer === undefined || server.auth.issuer === grant.issuer);

/** For how long its access token is good yet; without end where its issuer does not say. */
export const remainingMs = ({ expiresAt }: Pick<BackendGrant, 'expiresAt'>, now: Date): number =>
  expiresAt === null ? Number.POSITIVE_INFINITY : expiresAt.getTime() - now.getTime();
