import { isLegacyVersion, isModernVersion, knownVersions, metaKeys, modernVersions } from '../../schema/mcp-revisions.ts';
import { objectAt, type RpcError, rpcCodes } from '../mcp/message.ts';
import type { MessageCheck } from './check-message.ts';

export type EraChoice = { era: 'legacy' } | { era: 'modern' } | { era: 'neither'; error: RpcError };

const legacy: EraChoice = { era: 'legacy' };
const modern: EraChoice = { era: 'modern' };

export const unsupportedVersion = (requested: string): RpcError => ({
  code: rpcCodes.unsupportedVersion,
  message: 'Unsupported protocol version',
  // a legacy version begins with `initialize`, so whoever named one in `_meta` is told of the others alone
  data: { supported: isLegacyVersion(requested) ? [...modernVersions] : [...knownVersions], requested: requested.slice(0, 64) },
});

const neither = (code: number, message: string): EraChoice => ({ era: 'neither', error: { code, message } });

/** Whether a message says in its `_meta` which version it speaks: modern ones do, whatever that version is. */
export const namesVersion = (params: Record<string, unknown>): boolean => objectAt(params, '_meta')[metaKeys.protocolVersion] !== undefined;

/**
 * Which era a message belongs to. The body decides, as headers may be lost on the way: `_meta` with a version is modern, `initialize`
 * is legacy. Only then the header, and what has neither is a client from before that header.
 * @param version - the header `MCP-Protocol-Version`
 * @see https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning#backward-compatibility-with-initialization-based-versions
 */
export const chooseEra = (message: Exclude<MessageCheck, { kind: 'invalid' }>, version: string | undefined): EraChoice => {
  if (message.kind === 'response')
    return isModernVersion(version) ? neither(rpcCodes.invalidRequest, 'This protocol version has no answers from clients.') : legacy;
  if (namesVersion(message.params)) return modern;
  if (message.method === 'initialize')
    return isModernVersion(version)
      ? neither(
          rpcCodes.headerMismatch,
          'Header mismatch: `initialize` begins a session of an older version than MCP-Protocol-Version names.',
        )
      : legacy;
  if (version === undefined || isLegacyVersion(version)) return legacy;
  return isModernVersion(version) ? modern : { era: 'neither', error: unsupportedVersion(version) };
};
