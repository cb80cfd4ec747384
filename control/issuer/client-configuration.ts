import { importPKCS8 } from 'jose';
import {
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretPost,
  Configuration,
  customFetch,
  None,
  PrivateKeyJwt,
  type ServerMetadata,
} from 'openid-client';
import { PlatformError } from '../../schema/errors.ts';
import type { BackendClient } from '../../schema/resources/server-auth.ts';
import { resolveSecret, type SecretSources } from '../../store/secrets/references.ts';
import { type BackendFetch, isSafePlace } from './backend-fetch.ts';
import { type ProtectedServer, secretOwnerOf } from './protected-server.ts';

const answerWithinSeconds = 10;

/** A client as it shows itself; its secret is read when it is needed, and kept nowhere. */
export type ClientFacts = { id: string; method: string; secret?: string; auth: ClientAuth };

/** By the stronger of the ways in which a secret may be shown, as far as the issuer says which it takes. */
export const methodFor = ({
  token_endpoint_auth_methods_supported: supported,
}: ServerMetadata): 'client_secret_basic' | 'client_secret_post' =>
  supported !== undefined && !supported.includes('client_secret_basic') && supported.includes('client_secret_post')
    ? 'client_secret_post'
    : 'client_secret_basic';

/** `application/x-www-form-urlencoded`, and no more than that: many servers decode nothing (RFC 6749 §2.3.1). */
const formEncoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1);

const secretBasic =
  (secret: string): ClientAuth =>
  (_server, { client_id: id }, _body, headers) =>
    headers.set('authorization', `Basic ${Buffer.from(`${formEncoded(id)}:${formEncoded(secret)}`).toString('base64')}`);

export const authBySecret = (method: string, secret: string | undefined): ClientAuth => {
  if (secret === undefined || method === 'none') return None();
  return method === 'client_secret_post' ? ClientSecretPost(secret) : secretBasic(secret);
};

/** @throws {PlatformError} `secret_unavailable` */
export const declaredClient = async (
  server: ProtectedServer,
  client: BackendClient,
  metadata: ServerMetadata,
  secrets: SecretSources,
): Promise<ClientFacts> => {
  const { id, key, keyAlgorithm } = client;
  if (key !== undefined) {
    const pem = await resolveSecret(key, secrets, secretOwnerOf(server, 'auth.client.key'));
    const privateKey = await importPKCS8(pem, keyAlgorithm).catch((cause: unknown) => {
      throw new PlatformError('secret_unavailable', `The key of the client ${id} is no ${keyAlgorithm} key in PKCS #8.`, { cause });
    });
    return { id, method: 'private_key_jwt', auth: PrivateKeyJwt(privateKey) };
  }
  const secret = client.secret && (await resolveSecret(client.secret, secrets, secretOwnerOf(server, 'auth.client.secret')));
  const method = client.method ?? (secret === undefined ? 'none' : methodFor(metadata));
  return { id, method, auth: authBySecret(method, secret) };
};

/** No client at all: what is brought says enough (RFC 7523 §3.1). Its id is sent nowhere. */
export const unknownClient: ClientFacts = { id: 'none', method: 'none', auth: () => undefined };

/**
 * Puts an authorization server and a client of it together.
 * @throws {PlatformError} `credential_refused` where a secret would cross a network in clear
 */
export const configurationFor = (metadata: ServerMetadata, { id, method, auth }: ClientFacts, fetch: BackendFetch): Configuration => {
  const { token_endpoint: tokenEndpoint } = metadata;
  if (tokenEndpoint === undefined || !isSafePlace(tokenEndpoint))
    throw new PlatformError('credential_refused', `${metadata.issuer} has no token endpoint that can be reached by https.`);
  const configuration = new Configuration(metadata, id, { token_endpoint_auth_method: method }, auth);
  configuration.timeout = answerWithinSeconds;
  configuration[customFetch] = (url, options) => fetch(url, options as RequestInit);
  if (new URL(tokenEndpoint).protocol === 'http:') allowInsecureRequests(configuration);
  return configuration;
};
