import { PlatformError } from '../../schema/errors.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { resolveSecret, type SecretSources } from '../../store/secrets/references.ts';
import type { SecretOwner } from '../../store/secrets/secret-owner.ts';
import type { GatewayConfig } from '../gateway-config.ts';
import type { Trace } from '../mcp/trace-context.ts';
import { type ChatRequest, outputLimits } from './chat-request.ts';
import { withMembers } from './scan-json.ts';

type Provider = StoredResource<'Provider'>;
export type Route = StoredResource<'Model'>['spec']['routes'][number];

/** Where a request goes. `name` is the Provider resource's: it may be shown, the address and the key may not. */
export type ProviderTarget = { name: string; url: string; key: string | undefined; timeoutMs: number };

const withPath = (base: string, ensureVersion: boolean): string => {
  const url = new URL(base);
  const path = url.pathname.replace(/\/+$/, '');
  url.pathname = `${ensureVersion && path === '' ? '/v1' : path}/chat/completions`;
  return url.href;
};

/** Whose the key of a provider is. */
export const keyOwner = ({ org, project, name }: Provider['metadata']): SecretOwner => ({
  org,
  project,
  kind: 'Provider',
  name,
  field: 'apiKey',
});

/**
 * Finds the address and the key of a provider, at the time of use.
 * @throws {PlatformError} `secret_unavailable`
 */
export const providerTarget = async (
  { metadata, spec }: Provider,
  { localModelUrl, localModelKey }: Pick<GatewayConfig, 'localModelUrl' | 'localModelKey'>,
  secrets: SecretSources,
): Promise<ProviderTarget> => {
  const { name } = metadata;
  const timeoutMs = spec.timeoutSeconds * 1000;
  if (spec.kind === 'local') return { name, url: withPath(localModelUrl, true), key: localModelKey, timeoutMs };
  const key = spec.apiKey && (await resolveSecret(spec.apiKey, secrets, keyOwner(metadata)));
  if (key !== undefined && !/^[\x21-\x7e]+$/.test(key))
    throw new PlatformError(
      'secret_unavailable',
      `The key of the provider ${name} is not usable: it is empty or has spaces or line breaks in it.`,
    );
  return { name, url: withPath(spec.baseUrl, false), key, timeoutMs };
};

/** Headers are ours alone: nothing of the caller's but the id of its trace, above all not its token, reaches a provider. */
export const providerHeaders = ({ key }: ProviderTarget, isStreamed: boolean, { traceparent }: Trace): Record<string, string> => ({
  'content-type': 'application/json',
  accept: isStreamed ? 'text/event-stream' : 'application/json',
  'accept-encoding': 'identity',
  'user-agent': 'quarterdeck',
  traceparent,
  ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
});

/**
 * The caller's body for one route: the provider's own name of the model, the answer bounded, the model's temperature where none was asked
 * for, and for a stream the usage at its end. All else stays as it came.
 */
export const providerBody = (chat: ChatRequest, route: Route, spec: StoredResource<'Model'>['spec']): string => {
  const { body, text, members, isStreamed } = chat;
  const values = new Map<string, string>([['model', JSON.stringify(route.model)]]);
  for (const [field, limit] of outputLimits(chat, spec.maxOutputTokens)) if (body[field] !== limit) values.set(field, String(limit));
  if (spec.temperature !== undefined && (body.temperature ?? null) === null) values.set('temperature', String(spec.temperature));
  if (isStreamed && !body.stream_options?.include_usage)
    values.set('stream_options', JSON.stringify({ ...body.stream_options, include_usage: true }));
  return withMembers(text, members, values);
};
