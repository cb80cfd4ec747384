import { PlatformError } from '../../schema/errors.ts';
import { maxResultBytes, ResultTooLarge } from '../mcp/upstream-exchange.ts';
import type { ToolCallStep, ToolOutcome } from './tool-call.ts';

const tooLarge = (name: string, size: string): ToolOutcome => {
  const text = new PlatformError(
    'result_too_large',
    `${name} ran, and its result${size} is over the limit of ${maxResultBytes} bytes; ask for less.`,
  ).detail;
  return { kind: 'result', result: { content: [{ type: 'text', text }], isError: true } };
};

/** Holds results to the limit. The tool has run: the caller hears that, and that its result was too large to hand over. */
export const filter: ToolCallStep = async (call, next) => {
  let outcome: ToolOutcome;
  try {
    outcome = await next();
  } catch (error) {
    if (error instanceof ResultTooLarge) return tooLarge(call.name, '');
    throw error;
  }
  if (outcome.kind === 'rpc-error') return outcome;
  const bytes = Buffer.byteLength(JSON.stringify(outcome.result));
  return bytes <= maxResultBytes ? outcome : tooLarge(call.name, ` of ${bytes} bytes`);
};
