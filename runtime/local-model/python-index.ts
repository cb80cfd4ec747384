import type { Dispatcher } from 'undici';
import { fetch } from 'undici';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';

const ProjectPageSchema = z.object({ files: z.array(z.object({ filename: z.string(), url: z.string() })) });

/** JSON where the index has it, HTML where it is a plain mirror. */
const accept = 'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1';

/** A file to fetch; `authorization` is there when it lies on the index itself and the index needs a login. */
export type IndexFile = { url: URL; authorization?: string };

/**
 * Finds a file of a project on a Python package index by the simple repository API, in JSON or HTML.
 * @param indexUrl - as pip takes it, e.g. with a login in it; messages show it without
 * @throws {PlatformError} `model_unavailable`: the index does not answer, or has no such file
 * @see https://packaging.python.org/en/latest/specifications/simple-repository-api/
 */
export const findIndexFile = async (
  { indexUrl, project, fileName }: { indexUrl: string; project: string; fileName: string },
  { dispatcher, signal }: { dispatcher?: Dispatcher; signal?: AbortSignal } = {},
): Promise<IndexFile> => {
  const page = pageOf(indexUrl, project);
  const authorization = loginOf(page);
  const headers = { accept, ...(authorization === undefined ? {} : { authorization }) };
  const shown = `The Python package index at ${page.origin}`;
  const next = `Set PIP_INDEX_URL to an index that has ${project}, or use another model provider.`;
  let response: Awaited<ReturnType<typeof fetch>>;
  let body: string;
  try {
    response = await fetch(withoutLogin(page), { headers, signal, dispatcher });
    body = await response.text();
  } catch (cause) {
    signal?.throwIfAborted();
    throw new PlatformError('model_unavailable', `${shown} does not answer (${reasonOf(cause)}). ${next}`, { cause });
  }
  if (!response.ok) throw new PlatformError('model_unavailable', `${shown} answers ${response.status} for ${project}. ${next}`);
  const isJson = (response.headers.get('content-type') ?? '').includes('json');
  const link = (isJson ? linksOfJson(body) : linksOfHtml(body)).get(fileName);
  if (link === undefined) throw new PlatformError('model_unavailable', `${shown} has no file ${fileName}. ${next}`);
  const url = new URL(link, response.url);
  url.hash = '';
  // A login goes to the index alone; the files may lie on another host.
  const fileAuthorization = loginOf(url) ?? (url.origin === page.origin ? authorization : undefined);
  return { url: withoutLogin(url), ...(fileAuthorization === undefined ? {} : { authorization: fileAuthorization }) };
};

/** The reason of a failed request: what the network said, not undici's "fetch failed". */
export const reasonOf = (error: unknown): string => {
  const { code, message, cause } = (error ?? {}) as { code?: string; message?: string; cause?: unknown };
  return cause === undefined ? (code ?? message ?? String(error)) : reasonOf(cause);
};

const pageOf = (indexUrl: string, project: string): URL => {
  try {
    return new URL(`${indexUrl.replace(/\/+$/, '')}/${project}/`);
  } catch (cause) {
    throw new PlatformError('model_unavailable', 'PIP_INDEX_URL is not an address; it should look like https://host/simple.', { cause });
  }
};

const loginOf = ({ username, password }: URL): string | undefined =>
  username === ''
    ? undefined
    : `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`;

const withoutLogin = (url: URL): URL => Object.assign(new URL(url), { username: '', password: '' });

const linksOfJson = (body: string): Map<string, string> => {
  try {
    return new Map(ProjectPageSchema.parse(JSON.parse(body)).files.map(({ filename, url }) => [filename, url]));
  } catch {
    return new Map();
  }
};

const entities: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" };
const decode = (text: string): string => text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => entities[entity] as string);

/** Each file is an anchor whose text is the file's name. */
const linksOfHtml = (body: string): Map<string, string> =>
  new Map(
    [...body.matchAll(/<a\s[^>]*?href\s*=\s*["']([^"']+)["'][^>]*>([^<]*)<\/a>/gi)].map(([, link = '', name = '']) => [
      decode(name.trim()),
      decode(link),
    ]),
  );
