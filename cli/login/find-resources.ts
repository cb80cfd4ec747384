import { z } from 'zod';
import { CliError } from '../output/cli-error.ts';

const answerWithinMs = 15_000;
const MetadataSchema = z.object({ resource: z.url(), authorization_servers: z.array(z.url()).min(1) });

/**
 * Asks a platform who issues tokens for its api, as any client finds out: from the challenge of a refusal (RFC 9728 §5.1).
 * @param url - origin of the gateway
 * @throws {CliError}
 */
export const findApiResource = async (url: string): Promise<{ apiResource: string; issuers: string[] }> => {
  const get = (address: string): Promise<Response> => fetch(address, { redirect: 'error', signal: AbortSignal.timeout(answerWithinMs) });
  try {
    const refusal = await get(`${url}/api/v1alpha1/whoami`);
    await refusal.body?.cancel();
    const metadataUrl = /resource_metadata="([^"]+)"/.exec(refusal.headers.get('www-authenticate') ?? '')?.[1];
    if (metadataUrl === undefined) throw new Error('it does not say where its tokens come from');
    const { resource, authorization_servers } = MetadataSchema.parse(await (await get(metadataUrl)).json());
    // RFC 9728 §3.3: what describes another resource than the one asked for is not believed
    if (new URL(metadataUrl).origin !== new URL(resource).origin) throw new Error('its metadata is of another resource');
    return { apiResource: resource, issuers: authorization_servers };
  } catch (cause) {
    throw new CliError(`The platform at ${url} does not say where people log in`, {
      code: 'server_unavailable',
      isAway: true,
      next: 'check QUARTERDECK_URL; `quarterdeck status` shows what runs here',
      cause,
    });
  }
};
