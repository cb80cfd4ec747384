import type { PlatformCase, PlatformLane } from './platform-case.ts';
import { startTokenIssuer } from './token-issuer.ts';
import { wrongPlatformFix } from './wrong-platform-fix.ts';

const client = { id: 'quarterdeck', secret: 'a-secret-of-the-bench-0123456789' };
const issuers = new WeakMap<PlatformLane, Awaited<ReturnType<typeof startTokenIssuer>>>();

/** A token that looks good for an hour is thrown away by who issued it, and the server says no more than 401. */
export const expiredToken: PlatformCase = {
  id: 'G11',
  fault: "a server does not take the broker's token any more",
  watch: ['servers'],
  begin: async (lane) => {
    const { owner, server, later, keep } = lane;
    const issuer = await startTokenIssuer(client);
    later(issuer.close);
    issuers.set(lane, issuer);
    server.state.knows = issuer.knows;
    await owner.apply(
      {
        kind: 'McpServer',
        metadata: { name: 'desk' },
        spec: {
          url: server.keyedUrl,
          auth: {
            kind: 'clientCredentials',
            issuer: issuer.url,
            client: { id: client.id, secret: { file: keep('client', client.secret) } },
          },
        },
      },
      { kind: 'Toolset', metadata: { name: 'desk' }, spec: { servers: [{ name: 'desk' }], naming: 'plain' } },
    );
  },
  inject: async (lane) => issuers.get(lane)?.revokeAll(),
  seenAs: /^unhealthy McpServer\/desk CredentialExpired/,
  // a gateway looks at its servers every half minute, and says what it has every ten seconds
  tellableAfterMs: 45_000,
  isWell: async ({ owner }) => {
    const { status } = await owner.get('/resources/McpServer/desk');
    return status.conditions.some((one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'True');
  },
  right: { ends: ['fixed'], operations: () => [{ op: 'rotateCredential' }] },
  wrong: (lane) => wrongPlatformFix('G11', lane),
};
