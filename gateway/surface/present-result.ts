import { PlatformError } from '../../schema/errors.ts';
import type { MaskCounts } from '../mask/create-masker.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import { isObject, type JsonObject, type Reply } from '../mcp/message.ts';
import { bytesOver } from '../tool-call/bytes-over.ts';
import { maxResultBytes } from '../upstream/result-too-large.ts';
import type { Source } from './exposed.ts';
import { mapUris, urisOf } from './map-uris.ts';
import type { ResourceDirectory } from './resource-directory.ts';

/** Whether a result is the end of the request, and not a question or a task on the way to it. */
export const isComplete = ({ resultType }: JsonObject): boolean => resultType === undefined || resultType === 'complete';

/** @throws {PlatformError} `result_too_large` */
const assertFits = (name: string, result: JsonObject): void => {
  if (bytesOver(result, maxResultBytes) !== undefined)
    throw new PlatformError('result_too_large', `${name} answered with more than ${maxResultBytes} bytes; ask for less.`);
};

/** Whether a result is text, pictures and sound alone, as those of tools mostly are: these name no URIs. */
const isPlainContent = ({ content, contents, messages }: JsonObject): boolean =>
  Array.isArray(content) &&
  contents === undefined &&
  messages === undefined &&
  content.every((block) => isObject(block) && (block.type === 'text' || block.type === 'image' || block.type === 'audio'));

/** A server's result with its URIs as the caller knows them. */
export const presentUris = (
  request: ClientRequest,
  source: Source,
  reply: Reply,
  directory: Pick<ResourceDirectory, 'expose'>,
): Reply | Promise<Reply> => {
  if (reply.kind === 'error' || !isComplete(reply.result) || isPlainContent(reply.result)) return reply;
  const { result } = reply;
  const uris = urisOf(result);
  if (uris.size === 0) return reply;
  return directory.expose(request, source, uris).then((rewrite) => ({ kind: 'result', result: mapUris(result, rewrite) }));
};

/** A reply in which what the source's filter asks for is masked, errors too; `counts` gets how much. */
export const maskReply = ({ mask }: Pick<Source, 'mask'>, reply: Reply, counts: MaskCounts): Reply => {
  if (!mask) return reply;
  return reply.kind === 'error'
    ? { kind: 'error', error: mask.json(reply.error, counts) }
    : { kind: 'result', result: mask.json(reply.result, counts) };
};

/**
 * A server's answer to a use, as its caller may have it: within the limit, and with URIs as the caller knows them.
 * @throws {PlatformError} `result_too_large`
 */
export const presentResult = (
  request: ClientRequest,
  source: Source,
  reply: Reply,
  directory: Pick<ResourceDirectory, 'expose'>,
  counts: MaskCounts,
): Reply | Promise<Reply> => {
  if (reply.kind === 'result') assertFits(`The MCP server ${source.server.metadata.name}`, reply.result);
  return presentUris(request, source, maskReply(source, reply, counts), directory);
};
