import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { Logger } from '../../telemetry/logger.ts';
import type { EntryRecords } from './entry-records.ts';

/** By what a login ended: the person in their browser, a client that gave it back, or a value that was used twice, which somebody has stolen. */
const causeOf = ({ path }: KoaContextWithOIDC): 'browser' | 'client' | 'used-twice' => {
  if (path.startsWith('/session/')) return 'browser';
  return path === '/token/revocation' ? 'client' : 'used-twice';
};

const accountOf = ({ oidc: { entities, session } }: KoaContextWithOIDC): string | undefined =>
  entities.RefreshToken?.accountId ?? entities.AuthorizationCode?.accountId ?? entities.AccessToken?.accountId ?? session?.accountId;

/** Puts each end of a login on record. It has ended by then, so a row that cannot be written keeps nothing open. */
export const recordLogouts = (provider: Provider, records: EntryRecords, logger: Logger): void => {
  provider.on('grant.revoked', (context) => {
    const [org, person] = accountOf(context)?.split('/') ?? [];
    if (org === undefined || person === undefined) return;
    const cause = causeOf(context);
    const facts = { cause, client: context.oidc.client?.clientId ?? '', ...(cause === 'used-twice' ? { alert: 'login-used-twice' } : {}) };
    records
      .allow({ action: 'logOut', org, person, stamp: 'login', facts })
      .catch((error: unknown) => logger.warn({ err: error }, 'the end of a login could not be put on record'));
  });
};
