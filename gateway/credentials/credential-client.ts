import { request } from 'undici';
import {
  type BackendCredential,
  BackendCredentialSchema,
  type CredentialRequest,
  credentialsPath,
} from '../../schema/backend-credential.ts';
import { type ErrorCode, errorKinds, PlatformError } from '../../schema/errors.ts';

const answerWithinMs = 20_000;

export type AskForCredential = (wanted: CredentialRequest) => Promise<BackendCredential>;

const away = (cause: unknown): PlatformError =>
  new PlatformError(
    'server_unavailable',
    'The issuer does not answer, so there is no credential for the server; try again in a few seconds.',
    {
      cause,
      facts: { wasSent: false },
    },
  );

const factsIn = (problem: Record<string, unknown>, { org, project, server }: CredentialRequest): Record<string, string | boolean> => ({
  wasSent: false,
  server: `${org}/${project}/${server}`,
  ...(typeof problem.consentUrl === 'string' ? { consentUrl: problem.consentUrl } : {}),
});

/**
 * Asks the issuer for credentials: it alone holds secrets of clients and grants of people.
 * @param options.key - shows that it is the gateway who asks
 * @throws {PlatformError} what the issuer refuses with, or `server_unavailable`; nothing was sent to the server then
 */
export const createCredentialClient =
  ({ issuerUrl, key }: { issuerUrl: string; key: string }): AskForCredential =>
  async (wanted) => {
    let status: number;
    let answer: unknown;
    try {
      const response = await request(`${issuerUrl}${credentialsPath}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify(wanted),
        headersTimeout: answerWithinMs,
        bodyTimeout: answerWithinMs,
      });
      status = response.statusCode;
      answer = await response.body.json();
    } catch (cause) {
      throw away(cause);
    }
    if (status === 200) return BackendCredentialSchema.parse(answer);
    const problem = (answer ?? {}) as Record<string, unknown>;
    const { code, detail } = problem;
    if (typeof code !== 'string' || !(code in errorKinds)) throw away(new Error(`the issuer answered ${status}`));
    throw new PlatformError(code as ErrorCode, typeof detail === 'string' ? detail : 'The issuer refuses.', {
      facts: factsIn(problem, wanted),
    });
  };
