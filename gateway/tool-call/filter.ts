import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { JsonObject, Reply } from '../mcp/message.ts';
import { maskReply } from '../surface/present-result.ts';
import { maxResultBytes } from '../upstream/result-too-large.ts';
import { mostParts } from '../upstream/too-many-parts.ts';
import { bytesOver } from './bytes-over.ts';
import { consultOnResult } from './consult.ts';
import { presentToolResult, toolError } from './present-tool-result.ts';
import { required, type ToolCallStep } from './tool-call.ts';

const tooLarge = (name: string, size: string, most: string): Reply =>
  toolError(new PlatformError('result_too_large', `${name} ran, and its result${size} is over the limit of ${most}; ask for less.`));

/** Its size where that is over the limit; what is nested too deep to be written out has none. */
const sizeOver = (result: JsonObject, most: number): number | undefined => {
  try {
    return bytesOver(result, most);
  } catch (error) {
    if (error instanceof RangeError) return Number.POSITIVE_INFINITY;
    throw error;
  }
};

/** Holds results to the limits. The tool has run: the caller hears that, and why its result was not handed over. */
export const filter: ToolCallStep = async (call, next) => {
  let reply: Reply;
  try {
    reply = await next();
  } catch (error) {
    if (isPlatformError(error) && error.code === 'result_too_large')
      return tooLarge(call.name, '', `${maxResultBytes} bytes, or of ${mostParts} objects and lists`);
    throw error;
  }
  const tool = required(call.tool, 'the tool');
  if (tool.mask) call.masked = {};
  if (reply.kind === 'error') return maskReply(tool, reply, call.masked ?? {});
  const { principal } = call.request;
  const most = (principal.kind === 'agent' ? principal.limits.resultBytes : undefined) ?? maxResultBytes;
  const bytes = sizeOver(reply.result, most);
  if (bytes !== undefined) return tooLarge(call.name, Number.isFinite(bytes) ? ` of ${bytes} bytes` : '', `${most} bytes`);
  const shown = call.hooks ? await consultOnResult(call, reply) : reply;
  return presentToolResult(call.request, tool, shown, call.directory, call.masked);
};
