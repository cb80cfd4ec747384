import type { Carried } from '../labels/create-label-book.ts';
import { flowOfItem } from '../labels/flow-of-item.ts';
import { isReadOnly, required, type ToolCallStep } from './tool-call.ts';

/** The labels of what the caller has read so far join the call's facts; for a way out as they are at this very moment. */
export const label: ToolCallStep = (call, next) => {
  const { sink } = flowOfItem(required(call.tool, 'the tool'));
  const found = call.gateway.labels.of(call.request.principal, sink || !isReadOnly(call));
  if (found === undefined) return next();
  const carry = (carried: Carried) => {
    call.carried = carried;
    return next();
  };
  return found instanceof Promise ? found.then(carry) : carry(found);
};

/**
 * What the tool gives out is carried from here on, before anything of it can come back: a result, a question in the middle, the outcome of an
 * earlier try. Nothing is written where the caller carries as much already.
 */
export const carry: ToolCallStep = (call, next) => {
  if (!call.carried) return next();
  const rising = call.gateway.labels.join(call.request.principal, flowOfItem(required(call.tool, 'the tool')).reads);
  return rising ? rising.then(next) : next();
};
