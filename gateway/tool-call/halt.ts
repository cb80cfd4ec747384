import { haltableOf } from '../limits/follow-halts.ts';
import { required, type ToolCallStep } from './tool-call.ts';

/**
 * The brake: what is halted is refused before anything is promised, reserved or asked of people. It is looked at again right before the
 * call is sent (`exchangeWithServer`).
 */
export const halt: ToolCallStep = (call, next) => {
  if (call.gateway.halts.isClear) return next();
  const { server } = required(call.tool, 'the tool');
  const look = call.gateway.halts.check(haltableOf(call.request.principal, server.metadata, { server: server.metadata.name }));
  return look ? look.then(next) : next();
};
