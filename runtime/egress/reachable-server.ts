import { createHash } from 'node:crypto';
import type { BoundSecret, EgressRule } from '../../schema/resources/egress.ts';

/** Which server's processes are behind a proxy; each server has one of its own, so no request has to say whose it is. */
export type ServerIdentity = { org: string; project: string; server: string };

/** A variable of a server's environment whose value is a placeholder. */
export type Placeholder = { variable: string; placeholder: string } & Pick<BoundSecret, 'hosts' | 'header'>;

/** What a server may reach, and what it may bring there. */
export type ReachableServer = ServerIdentity & { rules: readonly EgressRule[]; placeholders: readonly Placeholder[] };

/** Begins every placeholder, so that those of other servers are known for what they are. */
export const placeholderMark = 'qd_placeholder_';
export const placeholderPattern = /qd_placeholder_[0-9a-f]{40}/g;

const digestOf = (...parts: string[]): string => createHash('sha256').update(parts.join('\0')).digest('hex');

/** What stands in a server's environment instead of a secret; it is worth nothing anywhere, so it need not be guarded. */
export const placeholderOf = ({ org, project, server }: ServerIdentity, variable: string): string =>
  placeholderMark + digestOf('placeholder', org, project, server, variable).slice(0, 40);

/** Name of the folder with a server's socket and certificates; short, as the path of a socket has 107 bytes. */
export const folderNameOf = ({ org, project, server }: ServerIdentity): string => digestOf('folder', org, project, server).slice(0, 24);

/** What lies in that folder: the socket, the authority of this installation, and that with all public ones. */
export const folderFiles = { socket: 'proxy.sock', authority: 'authority.pem', bundle: 'bundle.pem' } as const;

/** `org/project/server`, followed by a run or session where the process serves one alone. */
export const identityOf = (instanceId: string): ServerIdentity => {
  const [org = '', project = '', server = ''] = instanceId.split('/');
  return { org, project, server };
};
