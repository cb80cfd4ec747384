import type { DocumentIssue } from '../../control/api/document-issue.ts';
import { CliError } from '../output/cli-error.ts';
import { exitCodeOf } from '../output/render-error.ts';
import { noPlatform } from './find-platform.ts';

const answerWithinMs = 60_000;

type Problem = { code: string; detail: string; status: number; requestId?: string; issues?: DocumentIssue[]; advice?: string };

/** A refusal of the api. `documentIssues` are those of an apply, by document. */
export class ApiRefusal extends CliError {
  readonly status: number;
  readonly documentIssues: DocumentIssue[];

  constructor({ code, detail, status, requestId, issues = [], advice }: Problem) {
    // who wrote the policy knows better than anybody what to do, and the detail holds it
    const next = advice === undefined ? nextStepOf(code) : undefined;
    super(detail, { code, exitCode: exitCodeOf(code), requestId, isAway: status === 503, next });
    this.status = status;
    this.documentIssues = issues;
  }
}

/** What to do where the detail of the refusal does not say it. */
const nextStepOf = (code: string): string | undefined => {
  switch (code) {
    case 'not_permitted':
      return 'ask who may change the policies; `quarterdeck audit query --decision deny` shows the refusal';
    case 'token_refused':
      return 'log in again with `quarterdeck login`, or take the token of the running platform';
    case 'store_unavailable':
      return 'try again in a few seconds; `quarterdeck status` shows what is down';
    case 'internal':
      return 'look into the log folder that `quarterdeck status` names';
    default:
      return undefined;
  }
};

/** Whether the connection failed before there was an answer. */
const isConnectionLost = (error: unknown): boolean => {
  const { code, name } = ((error as Error).cause ?? error) as { code?: string; name?: string };
  return ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(code ?? '') || name === 'SocketError';
};

export type ApiClient = ReturnType<typeof createApiClient>;

/**
 * Talks to the api as one person. Answers are trusted: they come from the same release.
 * @param options.token - asked before each request: one that was good may have ended meanwhile; and again with one that was refused
 */
export const createApiClient = ({
  apiUrl,
  token,
  place,
}: {
  apiUrl: string;
  token: (refusedToken?: string) => Promise<string>;
  place: string;
}) => {
  const send = (bearer: string, method: string, path: string, body: unknown, withinMs: number): Promise<Response> =>
    fetch(`${apiUrl}/api/v1alpha1${path}`, {
      method,
      headers: { authorization: `Bearer ${bearer}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(withinMs),
      redirect: 'error', // a token goes where it was meant to go
    });

  const request = async <T>(method: string, path: string, body?: unknown, withinMs = answerWithinMs): Promise<T> => {
    const bearer = await token();
    let response: Response;
    let text: string;
    try {
      response = await send(bearer, method, path, body, withinMs);
      text = await response.text();
      // the key that signed it may have been denied; a login has newer tokens
      const newer = response.status === 401 ? await token(bearer) : bearer;
      if (newer !== bearer) {
        response = await send(newer, method, path, body, withinMs);
        text = await response.text();
      }
    } catch (error) {
      if (error instanceof CliError) throw error;
      if (isConnectionLost(error)) throw noPlatform(place);
      throw new CliError(`The platform at ${apiUrl} does not answer`, {
        code: 'server_unavailable',
        isAway: true,
        next: 'run `quarterdeck status`',
        cause: error,
      });
    }
    const answer = parseJson(text);
    if (response.ok && answer !== undefined) return answer as T;
    const problem = answer as Partial<Problem> | undefined;
    if (typeof problem?.code === 'string' && typeof problem.detail === 'string') throw new ApiRefusal(problem as Problem);
    const isAway = response.status === 502 || response.status === 503 || response.status === 504;
    throw new CliError(`What answers at ${apiUrl} is no Quarterdeck (HTTP ${response.status})`, { isAway, next: 'check QUARTERDECK_URL' });
  };

  return {
    /** @param withinMs - for an answer that takes longer than a minute */
    get: <T>(path: string, withinMs?: number): Promise<T> => request<T>('GET', path, undefined, withinMs),
    post: <T>(path: string, body: unknown = {}): Promise<T> => request<T>('POST', path, body),
    /** The answer as it comes, in pieces of text. */
    stream: async (path: string, withinMs: number): Promise<AsyncIterable<string>> => {
      const response = await send(await token(), 'GET', path, undefined, withinMs).catch((error) => {
        throw isConnectionLost(error) ? noPlatform(place) : error;
      });
      if (response.ok && response.body) return response.body.pipeThrough(new TextDecoderStream());
      const problem = parseJson(await response.text()) as Partial<Problem> | undefined;
      if (typeof problem?.code === 'string' && typeof problem.detail === 'string') throw new ApiRefusal(problem as Problem);
      throw new CliError(`What answers at ${apiUrl} is no Quarterdeck (HTTP ${response.status})`, { next: 'check QUARTERDECK_URL' });
    },
    delete: <T>(path: string): Promise<T> => request<T>('DELETE', path),
  };
};

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
