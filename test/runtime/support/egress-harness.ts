import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener, request as requestHttp } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Attempt, ConnectionOutcome, EgressParts } from '../../../runtime/egress/egress-parts.ts';
import { type Certified, makeAuthority, makeHostCertificate } from '../../../runtime/egress/make-certificate.ts';
import {
  folderFiles,
  folderNameOf,
  placeholderOf,
  type ReachableServer,
  type ServerIdentity,
} from '../../../runtime/egress/reachable-server.ts';
import type { RefusalReason } from '../../../runtime/egress/refusal.ts';
import { startEgress } from '../../../runtime/egress/start-egress.ts';
import { BoundSecretSchema, EgressRuleSchema } from '../../../schema/resources/egress.ts';
import { createLogger } from '../../../telemetry/logger.ts';

export const identity: ServerIdentity = { org: 'default', project: 'default', server: 'reacher' };

/** A row as a test looks at it. */
export type Recorded = {
  kind: 'opening' | 'refused' | 'closed';
  attempt: Attempt;
  reason?: RefusalReason | undefined;
  outcome?: ConnectionOutcome;
};

/** What a server declares, as it is written in a resource. */
export const reaching = (egress: object[], secrets: Record<string, object> = {}, who: ServerIdentity = identity): ReachableServer => ({
  ...who,
  rules: egress.map((rule) => EgressRuleSchema.parse(rule)),
  placeholders: Object.entries(secrets).map(([variable, secret]) => {
    const { hosts, header } = BoundSecretSchema.parse({ from: { env: 'NONE' }, ...secret });
    return { variable, placeholder: placeholderOf(who, variable), hosts, header };
  }),
});

/** A host of the world outside with a certificate of an authority that only tests trust; it keeps what it hears. */
export const startWorld = async (
  listener: RequestListener = (_request, response) => void response.end('hello'),
  { name = 'api.example.test', address = '127.0.0.1' } = {},
) => {
  const authority = makeAuthority(new Date());
  const heard: { host: string | undefined; url: string | undefined; headers: NodeJS.Dict<string | string[]>; body: string }[] = [];
  let connections = 0;
  const handle: RequestListener = (request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      heard.push({ host: request.headers.host, url: request.url, headers: request.headers, body });
      listener(request, response);
    });
  };
  const certificateOf = (host: string): Certified => makeHostCertificate(authority, host, new Date());
  const { certificate, key } = certificateOf(name);
  const secure = createHttpsServer({ cert: certificate, key }, handle);
  const plain = createHttpServer(handle);
  for (const server of [secure, plain]) {
    server.on('connection', () => {
      connections += 1;
    });
    server.listen(0, address);
    await once(server, 'listening');
  }
  return {
    authority,
    certificateOf,
    heard,
    connections: () => connections,
    securePort: (secure.address() as AddressInfo).port,
    plainPort: (plain.address() as AddressInfo).port,
    close: () => {
      for (const server of [secure, plain]) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
};
export type World = Awaited<ReturnType<typeof startWorld>>;

export type EgressHarnessOptions = Partial<Pick<EgressParts, 'readSecret' | 'lookUp' | 'closedPorts' | 'recorder' | 'authority'>> & {
  world: World;
  folder?: string;
};

/** The egress process's works in this process, with rows in a list. Every name is this machine unless `lookUp` says otherwise. */
export const startTestEgress = async ({
  world,
  folder: given,
  authority = makeAuthority(new Date()),
  ...changes
}: EgressHarnessOptions) => {
  const folder = given ?? (await mkdtemp(join(tmpdir(), 'qd-egress-')));
  const rows: Recorded[] = [];
  let decisions = 0;
  const egress = await startEgress(folder, {
    authority,
    authorities: [world.authority.certificate],
    closedPorts: new Set(),
    recorder: {
      opening: async (attempt) => void rows.push({ kind: 'opening', attempt }),
      refused: (attempt, reason) => void rows.push({ kind: 'refused', attempt, reason }),
      closed: (attempt, outcome) => void rows.push({ kind: 'closed', attempt, outcome, reason: outcome.reason }),
    },
    readSecret: async () => 'the-real-value',
    lookUp: async () => [{ address: '127.0.0.1', family: 4 }],
    newDecisionId: () => `dec_${++decisions}`,
    now: Date.now,
    logger: createLogger({ name: 'test', level: process.env.TEST_LOG ?? 'silent' }),
    ...changes,
  });
  return {
    ...egress,
    folder,
    authority,
    rows,
    socketOf: (who: ServerIdentity = identity) => join(folder, folderNameOf(who), folderFiles.socket),
    close: async () => {
      await egress.close();
      if (given === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
};

/** Asks a proxy for a way; `status` and `text` are its answer. */
export const connectThrough = (path: string, authority: string): Promise<{ status: number; text: string; socket: Socket }> =>
  new Promise((resolve, reject) => {
    const socket = connect(path);
    let answer = '';
    const take = (chunk: Buffer): void => {
      answer += chunk.toString('latin1');
      if (!answer.includes('\r\n\r\n')) return;
      socket.off('data', take);
      socket.pause();
      resolve({ status: Number(answer.split(' ')[1]), text: answer, socket });
    };
    socket.on('data', take);
    socket.once('error', reject);
    socket.once('close', () => resolve({ status: Number(answer.split(' ')[1] ?? 0), text: answer, socket }));
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  });

export const secureOver = (socket: Socket, options: { servername?: string; ca: string }): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const secure = connectTls({ socket, ...options });
    secure.once('secureConnect', () => resolve(secure));
    secure.once('error', reject);
    secure.once('close', () => reject(new Error('closed')));
  });

export type Ask = { method?: string; path?: string; headers?: Record<string, string>; body?: string };

/** One request over a connection that stands. */
export const askOver = (
  socket: Socket,
  { method = 'GET', path = '/', headers = {}, body }: Ask,
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string }> =>
  new Promise((resolve, reject) => {
    const request = requestHttp({ createConnection: () => socket, method, path, headers });
    request.once('error', reject);
    request.once('response', (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    request.once('socket', (talk) => void talk.resume()); // it was paused after the proxy's answer
    request.end(body);
  });
