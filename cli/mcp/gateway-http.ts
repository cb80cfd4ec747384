import { Agent, type Dispatcher, request } from 'undici';

export type GatewayAddress = { url: string; token: string };
export type HttpAnswer = { status: number; headers: Dispatcher.ResponseData['headers']; body: AsyncIterable<Buffer> };
type HttpMethod = 'POST' | 'GET' | 'DELETE';
export type GatewayHttp = ReturnType<typeof createGatewayHttp>;

/** The gateway gave no answer. `wasSent` is false only where nothing can have reached it. */
export class GatewayAway extends Error {
  readonly wasSent: boolean;

  constructor(wasSent: boolean, cause: unknown) {
    super('the gateway does not answer', { cause });
    this.name = 'GatewayAway';
    this.wasSent = wasSent;
  }
}

const neverSent = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

/** Statuses of something in front of a gateway that is being started. */
const awayStatuses: ReadonlySet<number> = new Set([502, 503, 504]);

const isJson = (headers: HttpAnswer['headers']): boolean => String(headers['content-type'] ?? '').startsWith('application/json');

/**
 * Sends HTTP requests to one endpoint of the gateway, without a time limit of its own: a call may take as long as it takes.
 * @param findAddress - asked before each request: a platform that was started anew may have another token. With one that was refused it is
 *   asked again: a login has newer ones
 */
export const createGatewayHttp = (findAddress: (refusedToken?: string) => GatewayAddress | Promise<GatewayAddress>) => {
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 5000 } });

  const sendTo = async (
    { url, token }: GatewayAddress,
    {
      method,
      headers,
      body,
      signal,
    }: { method: HttpMethod; headers: Record<string, string>; body: string | undefined; signal: AbortSignal },
  ): Promise<HttpAnswer> => {
    try {
      const answer = await request(url, {
        method,
        headers: { authorization: `Bearer ${token}`, ...headers },
        body: body ?? null,
        signal,
        dispatcher: agent,
      });
      if (awayStatuses.has(answer.statusCode) && !isJson(answer.headers)) {
        await answer.body.dump();
        throw new GatewayAway(answer.statusCode === 504, `HTTP ${answer.statusCode}`);
      }
      return { status: answer.statusCode, headers: answer.headers, body: answer.body };
    } catch (error) {
      if (signal.aborted || error instanceof GatewayAway) throw error;
      throw new GatewayAway(!neverSent.has((error as { code?: string }).code ?? ''), error);
    }
  };

  /** @throws {GatewayAway}; whatever, once the signal is aborted */
  const send = async (
    method: HttpMethod,
    headers: Record<string, string>,
    { body, signal }: { body?: string; signal: AbortSignal },
  ): Promise<HttpAnswer> => {
    const address = await findAddress();
    const answer = await sendTo(address, { method, headers, body, signal });
    if (answer.status !== 401) return answer;
    const newer = await findAddress(address.token);
    return newer.token === address.token && newer.url === address.url ? answer : sendTo(newer, { method, headers, body, signal });
  };

  return { send, close: () => agent.destroy() };
};
