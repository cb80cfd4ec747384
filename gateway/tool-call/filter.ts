import { PlatformError } from '../../schema/errors.ts';
import type { ToolCallStep } from './tool-call.ts';

const maxResultBytes = 16 * 1024 * 1024;

/** Holds results to the limit. The tool has run: the caller hears that, and that its result was too large to hand over. */
export const filter: ToolCallStep = async (call, next) => {
  const outcome = await next();
  if (outcome.kind === 'rpc-error') return outcome;
  const bytes = Buffer.byteLength(JSON.stringify(outcome.result));
  if (bytes <= maxResultBytes) return outcome;
  const detail = new PlatformError(
    'result_too_large',
    `${call.name} ran, and its result of ${bytes} bytes is over the limit of ${maxResultBytes}; ask for less.`,
  ).detail;
  return { kind: 'result', result: { content: [{ type: 'text', text: detail }], isError: true } };
};
