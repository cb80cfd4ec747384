import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { PlatformError } from '../../schema/errors.ts';
import type { ServerLaunch } from '../../schema/server-launch.ts';
import { folderFiles, folderNameOf, identityOf, placeholderOf } from '../egress/reachable-server.ts';

/** The egress process hears of a new server within a moment of its being declared. */
const openedWithinMs = 5_000;
const lookEveryMs = 25;

/** A server's way out: the folder with the socket of its proxy and its certificates, and placeholders by the names of variables. */
export type WayOut = { folder: string; placeholders: Readonly<Record<string, string>> };

/**
 * Finds the way out that the egress process keeps for a server; undefined where its launch asks for none, and then it has no network.
 * @param directory - where the folders of all servers are; undefined where no egress process runs
 * @throws {PlatformError} `server_unavailable` when there is none (yet)
 */
export const findWayOut = async ({ id, egress }: ServerLaunch, directory: string | undefined): Promise<WayOut | undefined> => {
  if (egress === undefined) return undefined;
  const identity = identityOf(id);
  const folder = join(directory ?? '', folderNameOf(identity));
  const deadline = performance.now() + openedWithinMs;
  while (directory !== undefined && performance.now() < deadline) {
    const isOpen = await access(join(folder, folderFiles.socket)).then(
      () => true,
      () => false,
    );
    if (isOpen) return { folder, placeholders: Object.fromEntries(egress.secrets.map((name) => [name, placeholderOf(identity, name)])) };
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  throw new PlatformError(
    'server_unavailable',
    `${id} has \`egress\`, and the egress process does not keep a way out for it; it is started again when it has ended, so try again in a few seconds.`,
    { facts: { sent: false } },
  );
};

/**
 * Variables by which HTTP clients of many makes find the proxy, and the certificates to trust.
 * @param folder - with those certificates, as the server sees it
 */
export const wayOutVariables = ({ proxyUrl, folder }: { proxyUrl: string; folder: string }): Record<string, string> => {
  const bundle = `${folder}/${folderFiles.bundle}`;
  return {
    ...{ HTTP_PROXY: proxyUrl, HTTPS_PROXY: proxyUrl, http_proxy: proxyUrl, https_proxy: proxyUrl },
    ...{ NO_PROXY: 'localhost,127.0.0.1,::1', no_proxy: 'localhost,127.0.0.1,::1' },
    ...{ NODE_USE_ENV_PROXY: '1', NODE_EXTRA_CA_CERTS: `${folder}/${folderFiles.authority}` },
    ...{ SSL_CERT_FILE: bundle, REQUESTS_CA_BUNDLE: bundle, CURL_CA_BUNDLE: bundle, GIT_SSL_CAINFO: bundle, AWS_CA_BUNDLE: bundle },
  };
};
