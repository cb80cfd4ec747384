import { randomBytes } from 'node:crypto';
import { pollUntil } from '../poll-until.ts';
import { breakableOf, isNoticed, offers, type PlatformCase } from './platform-case.ts';
import { wrongPlatformFix } from './wrong-platform-fix.ts';

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token as the issuer would sign it with a key that nobody has read yet. */
const tokenOfNewKey = (issuer: string, audience: string): string => {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: issuer, aud: audience, sub: 'default/admin', exp: now + 300, iat: now, jti: randomBytes(8).toString('hex') };
  return `${part({ alg: 'ES256', typ: 'at+jwt', kid: randomBytes(8).toString('hex') })}.${part(claims)}.${randomBytes(64).toString('base64url')}`;
};

/** The issuer cannot be reached just when a token comes that is signed with another key. */
export const unknownKeys: PlatformCase = {
  id: 'G08',
  fault: 'the keys of the issuer could not be fetched',
  watch: ['keys'],
  breaksProcesses: true,
  inject: async (lane) => {
    const { front } = breakableOf(lane);
    const { gatewayUrl, issuerUrl } = lane.installation;
    const audience = `${gatewayUrl}/mcp/default/${lane.project}/tools`;
    front.isAway = true;
    lane.later(() => {
      front.isAway = false;
    });
    // keys are asked for once in five seconds at most
    await pollUntil(
      async () => {
        await fetch(audience, {
          method: 'POST',
          headers: { authorization: `Bearer ${tokenOfNewKey(issuerUrl, audience)}`, 'content-type': 'application/json' },
          body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} }),
        });
        return isNoticed(lane);
      },
      'the gateway to miss keys',
      60_000,
    );
    front.isAway = false;
  },
  seenAs: /^unhealthy SigningKeys\/issuer KeysUnknown/,
  tellableAfterMs: 0,
  isWell: (lane) => offers(lane, 'tools', 'look', 'list'),
  right: { ends: ['fixed'], operations: () => [{ op: 'refetchKeys' }] },
  wrong: (lane) => wrongPlatformFix('G08', lane),
};
