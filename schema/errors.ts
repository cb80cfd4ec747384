/** What an error code means to a caller: HTTP status, whether the same request may succeed later, and a title. */
export type ErrorKind = { status: number; retryable: boolean; title: string };

/** Codes are API: added, never renamed; `docs/errors.md` says for each what happened and what to do. */
export const errorKinds = {
  approval_denied: { status: 403, retryable: false, title: 'A person refused this call' },
  approval_expired: { status: 403, retryable: false, title: 'Nobody allowed this call in time' },
  approvals_exhausted: { status: 429, retryable: true, title: 'Too many calls wait for people' },
  argument_refused: { status: 403, retryable: false, title: 'A policy refuses this argument' },
  budget_exhausted: { status: 429, retryable: false, title: 'A limit of the agent is reached' },
  calls_exhausted: { status: 429, retryable: true, title: 'The caller has too many calls under way' },
  capacity_reached: { status: 503, retryable: true, title: 'There is no room for more' },
  client_unreachable: { status: 409, retryable: false, title: 'The client cannot be asked' },
  compiler_missing: { status: 503, retryable: false, title: 'The compiler of Rego cannot be run' },
  conflict: { status: 409, retryable: false, title: 'The thing changed or is in use' },
  content_missing: { status: 500, retryable: false, title: 'A stored document is gone' },
  credential_refused: { status: 502, retryable: false, title: 'There is no credential for the server' },
  definition_suspicious: { status: 409, retryable: false, title: 'Something is wrong with the definition' },
  expression_invalid: { status: 422, retryable: false, title: 'A reference in a fleet does not resolve' },
  grant_needed: { status: 403, retryable: false, title: 'A person has to connect the server first' },
  halted: { status: 403, retryable: true, title: 'A person has halted this' },
  hook_refused: { status: 403, retryable: false, title: 'A hook of the project refuses this' },
  hook_unavailable: { status: 503, retryable: true, title: 'A hook of the project does not answer' },
  input_invalid: { status: 400, retryable: false, title: 'The input is not usable' },
  internal: { status: 500, retryable: true, title: 'Something failed inside' },
  isolation_unavailable: { status: 503, retryable: false, title: 'The server cannot be caged on this machine' },
  login_stale: { status: 401, retryable: false, title: 'The login was too long ago' },
  model_output_invalid: { status: 422, retryable: false, title: 'The model answered something unusable' },
  model_unavailable: { status: 503, retryable: true, title: 'The model provider does not answer' },
  needs_person: { status: 403, retryable: false, title: 'A person has to allow this call' },
  not_authenticated: { status: 401, retryable: false, title: 'The caller is not authenticated' },
  not_found: { status: 404, retryable: false, title: 'There is no such thing' },
  not_permitted: { status: 403, retryable: false, title: 'The policy does not allow this' },
  operation_conflict: { status: 409, retryable: false, title: 'The operation id belongs to another call' },
  operation_in_progress: { status: 409, retryable: true, title: 'The operation is still running' },
  operation_unknown: { status: 409, retryable: false, title: 'It is not known whether the operation took effect' },
  policy_flips: { status: 409, retryable: false, title: 'Recorded calls would be decided otherwise' },
  policy_red: { status: 422, retryable: false, title: 'A golden decision is not made as it has to be' },
  port_taken: { status: 500, retryable: false, title: 'A port is taken' },
  prompt_unknown: { status: 404, retryable: false, title: 'There is no such prompt' },
  proof_refused: { status: 401, retryable: false, title: 'The key of the token is not proven' },
  provider_refused: { status: 502, retryable: false, title: 'The model provider refuses the request' },
  rate_exhausted: { status: 429, retryable: true, title: 'Too many calls in a while' },
  replica_lost: { status: 503, retryable: false, title: 'The replica that ran the request is gone' },
  request_invalid: { status: 400, retryable: false, title: 'The request is malformed' },
  request_too_large: { status: 413, retryable: false, title: 'The request is too large' },
  resource_invalid: { status: 422, retryable: false, title: 'The resource is not valid' },
  resource_unknown: { status: 404, retryable: false, title: 'There is no such MCP resource' },
  result_invalid: { status: 502, retryable: false, title: 'The result is not what the tool promises' },
  result_too_large: { status: 502, retryable: false, title: 'The result is too large' },
  run_ended: { status: 409, retryable: false, title: 'The run has ended' },
  scope_insufficient: { status: 403, retryable: false, title: 'The token has not the scope that is needed' },
  secret_unavailable: { status: 503, retryable: true, title: 'A referenced secret cannot be read' },
  server_drifted: { status: 409, retryable: false, title: 'The server names another issuer' },
  server_unavailable: { status: 503, retryable: true, title: 'The MCP server does not answer' },
  session_unknown: { status: 404, retryable: false, title: 'There is no such session' },
  sessions_exhausted: { status: 503, retryable: true, title: 'There are too many sessions' },
  store_unavailable: { status: 503, retryable: true, title: 'The database does not answer' },
  stream_unknown: { status: 400, retryable: false, title: 'There is no such stream to go on with' },
  token_refused: { status: 401, retryable: false, title: 'The token is not accepted' },
  tool_unknown: { status: 404, retryable: false, title: 'There is no such tool' },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorKinds;

const brand = Symbol.for('quarterdeck.PlatformError');

/**
 * The one error of the platform. Each edge renders it in its own form; anything else that is thrown is shown as `internal`.
 * `detail` says what happened, to which thing and what to do next; it is shown to callers, so it holds no secret.
 */
export class PlatformError extends Error {
  readonly [brand] = true;
  readonly code: ErrorCode;
  readonly detail: string;
  /** Facts for the caller beside the text, e.g. the decision id. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;

  constructor(code: ErrorCode, detail: string, options: { cause?: unknown; facts?: Record<string, string | number | boolean> } = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'PlatformError';
    this.code = code;
    this.detail = detail;
    this.facts = options.facts ?? {};
  }

  get status(): number {
    return errorKinds[this.code].status;
  }

  get isRetryable(): boolean {
    return errorKinds[this.code].retryable;
  }
}

/** Recognises the error by a global symbol: `instanceof` fails between bundles. */
export const isPlatformError = (error: unknown): error is PlatformError => typeof error === 'object' && error !== null && brand in error;

/** Turns whatever was thrown into the one error; the cause stays inside and is for the log alone. */
export const toPlatformError = (error: unknown): PlatformError =>
  isPlatformError(error)
    ? error
    : new PlatformError('internal', 'The request failed inside Quarterdeck; the log has the cause.', { cause: error });

/** RFC 9457 problem details of an error. @see https://www.rfc-editor.org/rfc/rfc9457 */
export const problemDetails = (error: PlatformError, requestId: string) => ({
  type: `https://quarterdeck.dev/errors/${error.code}`,
  title: errorKinds[error.code].title,
  status: error.status,
  detail: error.detail,
  code: error.code,
  retryable: error.isRetryable,
  requestId,
  ...error.facts,
});
