import type { IncomingHttpHeaders } from 'node:http';
import { isModernVersion, type LogLevel, logLevels, metaKeys } from '../../schema/mcp-revisions.ts';
import type { ClientFacts } from '../mcp/client-request.ts';
import { isObject, type JsonObject, objectAt, type RpcError, rpcCodes } from '../mcp/message.ts';
import { unsupportedVersion } from './choose-era.ts';
import { decodeHeaderValue } from './decode-header-value.ts';

export type ModernCheck = { ok: true; client: ClientFacts; logLevel: LogLevel | undefined } | { ok: false; error: RpcError };

/** Whose value the header `Mcp-Name` repeats. @see https://modelcontextprotocol.io/extensions/tasks/overview */
const nameSources: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

const refused = (code: number, message: string): { ok: false; error: RpcError } => ({ ok: false, error: { code, message } });
const mismatch = (what: string) => refused(rpcCodes.headerMismatch, `Header mismatch: ${what}.`);
const badMeta = (key: string, what: string) => refused(rpcCodes.invalidParams, `Invalid params: \`_meta["${key}"]\` ${what}.`);

const isInfo = (value: unknown): value is { name: string; version: string } =>
  isObject(value) && typeof value.name === 'string' && typeof value.version === 'string';

/** What stands between client and gateway decides by headers, the gateway by the body: they have to say the same. */
const checkHeaders = (method: string, params: JsonObject, headers: IncomingHttpHeaders): { ok: false; error: RpcError } | undefined => {
  const named = headers['mcp-method'];
  if (named === undefined) return mismatch('the header Mcp-Method is missing');
  if (named !== method) return mismatch('Mcp-Method does not name the method of the body');
  const source = nameSources.get(method);
  if (source === undefined) return undefined;
  const value = params[source];
  const sent = headers['mcp-name'];
  // what has no name in its body is answered by the method itself
  if (sent === undefined) return typeof value === 'string' ? mismatch('the header Mcp-Name is missing') : undefined;
  const name = decodeHeaderValue(String(sent));
  if (name === undefined) return mismatch('Mcp-Name is not written as such a header has to be');
  return name === value ? undefined : mismatch(`Mcp-Name does not say what \`params.${source}\` says`);
};

/**
 * Checks what every modern request has to say of itself, in `_meta` and in its headers, and reads it.
 * @returns the error to answer with (HTTP 400), or who asks
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic#meta
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http#server-validation
 */
export const checkModernRequest = (method: string, params: JsonObject, headers: IncomingHttpHeaders): ModernCheck => {
  const meta = params._meta;
  if (!isObject(meta)) return refused(rpcCodes.invalidParams, 'Invalid params: `_meta` is missing; each request of this version has it.');
  const version = meta[metaKeys.protocolVersion];
  if (typeof version !== 'string') return badMeta(metaKeys.protocolVersion, 'is missing or no string');
  const headerVersion = headers['mcp-protocol-version'];
  if (headerVersion === undefined) return mismatch('the header MCP-Protocol-Version is missing');
  if (headerVersion !== version) return mismatch('MCP-Protocol-Version does not name the version of `_meta`');
  if (!isModernVersion(version)) return { ok: false, error: unsupportedVersion(version) };
  const capabilities = meta[metaKeys.clientCapabilities];
  if (!isObject(capabilities)) return badMeta(metaKeys.clientCapabilities, 'is missing or no object');
  const info = meta[metaKeys.clientInfo];
  if (info !== undefined && !isInfo(info)) return badMeta(metaKeys.clientInfo, 'has no `name` and `version`');
  const logLevel = meta[metaKeys.logLevel] as LogLevel | undefined;
  if (logLevel !== undefined && !logLevels.includes(logLevel)) return badMeta(metaKeys.logLevel, 'is no log level');
  const token = meta.progressToken;
  if (token !== undefined && typeof token !== 'string' && !Number.isInteger(token))
    return badMeta('progressToken', 'is neither text nor integer');
  const disagreement = checkHeaders(method, params, headers);
  if (disagreement) return disagreement;
  const client: ClientFacts = { era: 'modern', protocolVersion: version, capabilities };
  if (info !== undefined) client.info = { name: info.name, version: info.version };
  return { ok: true, client, logLevel };
};

/**
 * Checks a modern client's notification: its headers may be missing, as the revision asks for none, but may not say something else.
 * @returns the error to answer with (HTTP 400), if there is one
 */
export const checkModernNotification = (method: string, params: JsonObject, headers: IncomingHttpHeaders): RpcError | undefined => {
  const claimed = objectAt(params, '_meta')[metaKeys.protocolVersion];
  const { 'mcp-protocol-version': header, 'mcp-method': named } = headers;
  if (claimed !== undefined && header !== undefined && claimed !== header)
    return mismatch('MCP-Protocol-Version does not name the version of `_meta`').error;
  const version = claimed ?? header;
  if (!isModernVersion(version)) return unsupportedVersion(String(version));
  return named === undefined || named === method ? undefined : mismatch('Mcp-Method does not name the method of the body').error;
};
