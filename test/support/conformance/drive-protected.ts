import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createAssertionStore } from '../../../store/identity-assertions.ts';
import { deleteResource, findResource } from '../../../store/resources.ts';
import { deriveContentKeys } from '../../../store/secrets/seal.ts';
import { createBrowser, type Page } from '../browser.ts';
import { pollUntil } from '../poll-until.ts';
import type { RunningPeople } from '../running-people.ts';
import { type Task, useEverything } from './drive-gateway.ts';

type Json = Record<string, unknown>;

/** A client that the program knows beforehand by the document that describes it. */
const documentedClient = { 'auth/basic-cimd': 'https://conformance-test.local/client-metadata.json' } as Record<string, string>;

const linkIn = ({ html }: Page): string | undefined => /class="button" href="([^"]+)"/.exec(html)?.[1]?.replaceAll('&amp;', '&');

/** Who issues tokens for a server, as its administrator would look it up before declaring it. */
const issuerOf = async (url: string): Promise<string> => {
  const { origin, pathname } = new URL(url);
  for (const path of [`/.well-known/oauth-protected-resource${pathname}`, '/.well-known/oauth-protected-resource']) {
    const response = await fetch(`${origin}${path}`);
    if (response.ok) return ((await response.json()) as { authorization_servers: string[] }).authorization_servers[0] ?? origin;
  }
  return origin;
};

/**
 * Takes what the conformance program asks of "the client" about signing in at servers: declares the server as an administrator would, plays
 * the person who connects it, and has the gateway use it.
 * @param secrets - where the gateway's issuer finds what is referred to
 */
export const startProtectedDriver = async (people: RunningPeople, secrets: Record<string, string>) => {
  let count = 0;
  const { gateway } = people;
  const seen: string[] = [];

  const refer = (name: string, value: unknown): { env: string } => {
    secrets[name] = String(value);
    return { env: name };
  };

  const authFor = async ({ scenario, url, context }: Task): Promise<Json> => {
    const id = context.client_id;
    if (scenario === 'auth/client-credentials-basic')
      return { kind: 'clientCredentials', issuer: await issuerOf(url), client: { id, secret: refer(`S${count}`, context.client_secret) } };
    if (scenario === 'auth/client-credentials-jwt')
      return {
        kind: 'clientCredentials',
        issuer: await issuerOf(url),
        client: { id, key: refer(`S${count}`, context.private_key_pem), keyAlgorithm: context.signing_algorithm ?? 'ES256' },
      };
    if (scenario === 'auth/wif-jwt-bearer')
      return { kind: 'workloadIdentity', issuer: await issuerOf(url), client: { id }, assertion: refer(`S${count}`, context.valid_jwt) };
    if (scenario === 'auth/enterprise-managed-authorization') {
      const name = `idp-${count}`;
      const [issuer, idToken] = [String(context.idp_issuer), String(context.idp_id_token)];
      const spec = { issuer, clientId: context.idp_client_id };
      await gateway.apply({ kind: 'IdentityProvider', metadata: { name }, spec });
      // the program is no login page: the person is taken to have come from there
      const { rows } = await gateway.database.$client.query("select id from people where id like 'ada%'");
      const tenancy = { org: 'default', project: 'default' };
      const expiresAt = new Date(Date.now() + 3_600_000);
      const store = createAssertionStore(gateway.database, deriveContentKeys(people.grantKey, 'assertions'));
      await store.put({ ...tenancy, provider: name, personId: rows[0].id, issuer, expiresAt, tokens: { idToken } });
      const client = { id, secret: refer(`S${count}`, context.client_secret) };
      return { kind: 'idJag', issuer: await issuerOf(url), client, identityProvider: name };
    }
    if (typeof id === 'string' && context.client_secret !== undefined)
      return { kind: 'userGrant', issuer: await issuerOf(url), client: { id, secret: refer(`S${count}`, context.client_secret) } };
    const document = documentedClient[scenario];
    return { kind: 'userGrant', ...(document === undefined ? {} : { client: { id: document } }) };
  };

  /** @returns whether the person came back connected */
  const connect = async (address: string): Promise<boolean> => {
    const browser = createBrowser();
    const page = await people.passLogin(browser, address, 'ada');
    if (!page.html.includes('<form')) {
      seen.push(page.html.replace(/<style>.*<\/style>/, ''));
      return false;
    }
    const there = linkIn(await browser.submit(page, { answer: 'allow' }));
    if (there === undefined) return false;
    const end = await browser.open(there);
    seen.push(end.html.replace(/<style>.*<\/style>/, ''));
    return end.html.includes('is connected');
  };

  const drive = async (task: Task): Promise<void> => {
    count += 1;
    const name = `peer-${count}`;
    const { access_token: token } = await people.logIn('ada', `${gateway.publicUrl}/mcp/${name}`);
    const auth = await authFor(task);
    await gateway.apply(
      { kind: 'McpServer', metadata: { name }, spec: { url: task.url, auth } },
      { kind: 'Toolset', metadata: { name }, spec: { servers: [{ name }], naming: 'plain' } },
      { kind: 'AccessBinding', metadata: { name }, spec: { subjects: [{ group: 'engineering' }], toolsets: [name] } },
    );
    if (auth.kind === 'userGrant' && !(await connect(`${people.issuerUrl}/connect/default/default/${name}`)))
      throw new Error(`not connected: ${seen.at(-1)}`);
    let isMoved = false;
    await pollUntil(
      async () => {
        const server = await findResource(gateway.database, { org: 'default', project: 'default', kind: 'McpServer', name });
        const ready = server?.status.conditions.find(({ type }) => type === 'Ready');
        seen.push(`${ready?.status} ${ready?.message}`);
        // a person who hears that the server has another issuer by now, and means it
        const moved = ready?.reason === 'server_drifted' ? /http\S+\/connect\/\S+$/.exec(ready.message)?.[0] : undefined;
        if (moved !== undefined && !isMoved) isMoved = await connect(moved);
        return ready?.status === 'True' || undefined;
      },
      `a first look at ${name}`,
      10_000,
    );
    let visits = 0;
    const onError = async (error: unknown): Promise<void> => {
      seen.push(String(error));
      const { consentUrl } = ((error as { data?: Json }).data ?? {}) as { consentUrl?: string };
      visits += 1;
      if (consentUrl !== undefined && visits <= 3 && (await connect(consentUrl))) await useEverything(gateway, name, task, onError, token);
    };
    await useEverything(gateway, name, task, onError, token);
    // people log in at the company again, and are not asked where
    const provider = { org: 'default', project: 'default', kind: 'IdentityProvider' as const, name: `idp-${count}` };
    await deleteResource(gateway.database, provider);
  };

  const listener = createServer(async (request, response) => {
    try {
      await drive(JSON.parse(await text(request)) as Task);
      response.writeHead(204).end();
    } catch (error) {
      seen.push(String(error));
      response.writeHead(500).end(String(error));
    }
  }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    /** What happened, for a failure's sake. */
    seen,
    close: () => new Promise<void>((resolve) => listener.close(() => resolve())),
  };
};
