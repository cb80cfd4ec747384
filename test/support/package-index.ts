import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type PackageIndex = {
  /** The address for PIP_INDEX_URL. */
  url: string;
  port: number;
  /** Path and authorization of each request. */
  requests: { path: string; authorization?: string }[];
  close(): Promise<void>;
};

export type PackageIndexOptions = {
  project: string;
  /** What the project's page lists: file name to link; a relative one is resolved as a browser does. */
  links: Record<string, string>;
  format: 'json' | 'html';
  /** Answers everything but the page; `/files/…` by convention. */
  files?: (request: IncomingMessage, response: ServerResponse) => void;
};

/** A Python package index on loopback with one project, as the simple repository API describes it. */
export const startPackageIndex = async ({ project, links, format, files }: PackageIndexOptions): Promise<PackageIndex> => {
  const requests: PackageIndex['requests'] = [];
  const server = createServer((request, response) => {
    const { url = '', headers } = request;
    requests.push({ path: url, authorization: headers.authorization });
    if (url === `/simple/${project}/`) {
      if (format === 'json') {
        const body = {
          meta: { 'api-version': '1.1' },
          files: Object.entries(links).map(([filename, link]) => ({ filename, url: link, hashes: {} })),
        };
        response.writeHead(200, { 'content-type': 'application/vnd.pypi.simple.v1+json' }).end(JSON.stringify(body));
      } else {
        const anchors = Object.entries(links).map(
          ([name, link]) => `<a href="${link.replaceAll('&', '&amp;')}" data-requires-python="&gt;=3.9">${name}</a><br />`,
        );
        response
          .writeHead(200, { 'content-type': 'text/html' })
          .end(`<!DOCTYPE html>\n<html><body>\n${anchors.join('\n')}\n</body></html>`);
      }
    } else if (files && !url.startsWith('/simple/')) files(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    return closed;
  };
  return { url: `http://127.0.0.1:${port}/simple`, port, requests, close };
};
