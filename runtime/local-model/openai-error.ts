import { isPlatformError } from '../../schema/errors.ts';

/**
 * An error as clients of this HTTP dialect know it. `message` says what happened and what to do; it holds no secret and no prompt.
 * @see https://platform.openai.com/docs/guides/error-codes
 */
export class OpenAiError extends Error {
  readonly status: number;
  readonly code: string;
  /** The field of the request that is at fault. */
  readonly param: string | null;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    status: number,
    code: string,
    message: string,
    options: { param?: string; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'OpenAiError';
    this.status = status;
    this.code = code;
    this.param = options.param ?? null;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

const schemaParam = 'response_format.json_schema.schema';

/** The refusal of a schema: `path` is a JSON pointer into it, '' for its root; `reason` completes "the schema … cannot be used: …". */
export const schemaRefused = (path: string, reason: string): OpenAiError =>
  new OpenAiError(400, 'unsupported_schema', `The local model cannot follow the schema at ${path === '' ? 'its root' : path}: ${reason}.`, {
    param: schemaParam,
  });

export const parameterRefused = (param: string, message: string): OpenAiError =>
  new OpenAiError(400, 'unsupported_parameter', message, { param });

/** Whatever was thrown, as an answer: platform errors keep code and text, anything else says nothing about its inside. */
export const toOpenAiError = (error: unknown): OpenAiError => {
  if (error instanceof OpenAiError) return error;
  if (isPlatformError(error)) return new OpenAiError(error.status, error.code, error.detail, { cause: error });
  return new OpenAiError(500, 'internal', 'The local model failed inside; the log has the cause.', { cause: error });
};

export const errorBody = ({ status, code, message, param }: OpenAiError) => ({
  error: { message, type: status < 500 ? 'invalid_request_error' : 'server_error', param, code },
});
