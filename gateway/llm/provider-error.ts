import { PlatformError } from '../../schema/errors.ts';
import { cleanMessage } from './clean-message.ts';

/** The body of an error, in one of the forms in which servers of this dialect send it. */
type ErrorBody = { message?: string; code?: string };

const stringOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

/** Reads what a provider says about an error; loose, because every provider writes it in its own way. */
export const readErrorBody = (body: unknown): ErrorBody => {
  const outer = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const inner = (typeof outer.error === 'object' && outer.error !== null ? outer.error : {}) as Record<string, unknown>;
  return {
    message: stringOf(inner.message) ?? stringOf(outer.error) ?? stringOf(outer.message) ?? stringOf(outer.detail),
    code: stringOf(inner.code) ?? stringOf(inner.type) ?? stringOf(outer.code),
  };
};

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const contextExceeded = /context[ _](length|window|size)|maximum context|too many (input )?tokens|prompt is too long/i;

const reasonOf = ({ code = '', message = '' }: ErrorBody): string => {
  if (code === 'context_length_exceeded' || contextExceeded.test(message)) return 'context_length_exceeded';
  return /^[a-z][a-z0-9_]{0,63}$/.test(code) ? code : 'invalid_request';
};

/** Seconds, as most providers send them; a date or nonsense is left aside. */
const retryAfterOf = (header: string | string[] | undefined): { retryAfterSeconds?: number } => {
  const seconds = Number(header);
  return Number.isInteger(seconds) && seconds >= 1 && seconds <= 3600 ? { retryAfterSeconds: seconds } : {};
};

/** The provider gave no answer, or none that can be used; the next route may. */
export const unavailable = (provider: string, what: string, cause?: unknown, facts: Record<string, number> = {}): PlatformError =>
  new PlatformError('model_unavailable', `The model provider ${provider} ${what}; try again.`, { cause, facts });

/**
 * Turns a provider's refusal into ours. Only what it says about the request itself is passed on, cleaned; what it says about its key is not.
 * @param answer - `text` is the beginning of the body
 */
export const providerRefusal = (
  provider: string,
  answer: { status: number; retryAfter?: string | string[]; text: string },
  hide: { secrets: readonly string[]; texts: readonly string[] },
): PlatformError => {
  const { status, retryAfter, text } = answer;
  if (status >= 500 || status === 429 || status === 408)
    return unavailable(provider, `answered ${status}`, undefined, retryAfterOf(retryAfter));
  const refused = (detail: string) => new PlatformError('provider_refused', detail, { facts: { providerStatus: status } });
  if (status < 400)
    return refused(`The model provider ${provider} redirects to another address (${status}), which is not followed; correct its baseUrl.`);
  if (status === 401 || status === 403)
    return refused(
      `The model provider ${provider} does not accept the gateway's key (${status}); whoever runs Quarterdeck has to check the Provider resource.`,
    );
  if (status === 404)
    return refused(`The model provider ${provider} has no such model or address (404); check the Model and Provider resources.`);
  if (![400, 413, 422].includes(status)) return refused(`The model provider ${provider} refuses the request (${status}).`);
  const body = readErrorBody(parsed(text));
  const said = body.message === undefined ? `status ${status}` : cleanMessage(body.message, hide);
  return new PlatformError('request_invalid', `The model provider ${provider} refuses the request: ${said}`, {
    facts: { reason: reasonOf(body) },
  });
};
