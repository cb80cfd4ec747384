import type { Tenancy } from '../../schema/ids.ts';

/** Where people connect servers, below the issuer's URL. */
export const connectPath = '/connect';
export const connectCallbackPath = '/connect/callback';
/** The document by which authorization servers know us (CIMD). */
export const connectClientPath = '/connect/client.json';
export const connectPaths = /^\/connect\/(callback|client\.json|[\w.-]+\/[\w.-]+\/[\w.-]+)$/;

type ServerName = Tenancy & { name: string };

/** The page on which a person connects a server; `scopes` beyond those that are always asked for. */
export const consentUrlOf = (issuerUrl: string, { org, project, name }: ServerName, scopes: readonly string[] = []): string => {
  const url = new URL(`${issuerUrl}${connectPath}/${org}/${project}/${name}`);
  if (scopes.length > 0) url.searchParams.set('scope', scopes.join(' '));
  return url.href;
};

/** Reads the path of that page. */
export const readConnectPath = (path: string): ServerName | undefined => {
  const [, , org, project, name, ...rest] = path.split('/');
  return org && project && name && rest.length === 0 ? { org, project, name } : undefined;
};

/** What authorization servers are told of us. */
export const connectClientMetadata = (issuerUrl: string) => ({
  client_name: 'Quarterdeck',
  client_uri: issuerUrl,
  redirect_uris: [`${issuerUrl}${connectCallbackPath}`],
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  application_type: issuerUrl.startsWith('https:') ? 'web' : 'native',
});
