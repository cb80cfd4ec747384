import { defaultTenancy, NameSchema, type Tenancy } from './ids.ts';

/** One virtual server: a toolset, or everything that the caller may use. `path` is canonical, and with the public URL its audience. */
export type Endpoint = { kind: 'toolset'; tenancy: Tenancy; toolset: string; path: string } | { kind: 'everything'; path: string };

/** Reads `/mcp`, `/mcp/{toolset}` and `/mcp/{org}/{project}/{toolset}`; undefined for any other path. */
export const parseEndpoint = (pathname: string): Endpoint | undefined => {
  if (pathname === '/mcp') return { kind: 'everything', path: '/mcp' };
  if (!pathname.startsWith('/mcp/')) return undefined;
  const parts = pathname.slice('/mcp/'.length).split('/');
  if (!parts.every((part) => NameSchema.safeParse(part).success)) return undefined;
  const [first, second, third] = parts;
  if (parts.length === 1 && first)
    return {
      kind: 'toolset',
      tenancy: defaultTenancy,
      toolset: first,
      path: `/mcp/${defaultTenancy.org}/${defaultTenancy.project}/${first}`,
    };
  if (parts.length === 3 && first && second && third)
    return { kind: 'toolset', tenancy: { org: first, project: second }, toolset: third, path: `/mcp/${first}/${second}/${third}` };
  return undefined;
};
