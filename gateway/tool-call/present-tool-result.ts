import { PlatformError } from '../../schema/errors.ts';
import type { MaskCounts } from '../mask/create-masker.ts';
import type { ClientRequest } from '../mcp/client-request.ts';
import type { JsonObject, Reply } from '../mcp/message.ts';
import type { Exposed } from '../surface/exposed.ts';
import { isComplete, maskReply, presentUris } from '../surface/present-result.ts';
import type { ResourceDirectory } from '../surface/resource-directory.ts';
import { faultIn } from './fault-in.ts';

/** A failure that the caller's model is to read: the tool has run all the same. */
export const toolError = ({ detail }: PlatformError): Reply => ({
  kind: 'result',
  result: { content: [{ type: 'text', text: detail }], isError: true },
});

/** What is wrong with a result by the output schema that was pinned: an agent relies on it. */
const faultOf = ({ pinned }: Exposed, { structuredContent, isError }: JsonObject): string | undefined => {
  const { outputSchema } = pinned.definition;
  if (outputSchema === undefined || isError === true) return undefined;
  if (structuredContent === undefined) return '`structuredContent` is missing';
  return faultIn(structuredContent, outputSchema, pinned.approvedHash, 'structuredContent');
};

/** A tool's answer as its caller may have it: what its output schema promises, with URIs as the caller knows them. */
export const presentToolResult = (
  request: ClientRequest,
  tool: Exposed,
  reply: Reply,
  directory: Pick<ResourceDirectory, 'expose'>,
  masked: MaskCounts = {},
): Reply | Promise<Reply> => {
  if (reply.kind === 'error' || !isComplete(reply.result)) return maskReply(tool, reply, masked);
  const fault = faultOf(tool, reply.result);
  // masked after it was compared with its schema, which speaks of what the server has
  if (fault === undefined) return presentUris(request, tool, maskReply(tool, reply, masked), directory);
  return toolError(
    new PlatformError('result_invalid', `${tool.name} ran, and its result is not what its output schema promises: ${fault}.`),
  );
};
