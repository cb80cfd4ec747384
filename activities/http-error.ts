import { z } from 'zod';
import { PlatformError } from '../schema/errors.ts';
import { platformErrorOf } from './mcp-messages.ts';

const ErrorBodySchema = z.looseObject({
  detail: z.string().optional(),
  error: z.union([z.string(), z.looseObject({ message: z.string().optional() })]).optional(),
});

/** Reads an error that came as HTTP: in OpenAI's dialect, as problem details, or with its status alone. */
export const httpError = (statusCode: number, text: string): PlatformError => {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  const { detail, error } = ErrorBodySchema.safeParse(body).data ?? {};
  const message = (typeof error === 'object' ? error.message : undefined) ?? detail ?? `The gateway answered ${statusCode}.`;
  const known = platformErrorOf(typeof error === 'object' ? error : body, message);
  if (known) return known;
  if (statusCode >= 500 || statusCode === 429) return new PlatformError('server_unavailable', message);
  return new PlatformError(statusCode === 403 ? 'not_permitted' : 'request_invalid', message);
};
