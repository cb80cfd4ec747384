import { PlatformError } from '../../schema/errors.ts';
import { authOf, type ProtectedAuth } from '../credentials/auth-of.ts';
import type { Reply } from '../mcp/message.ts';
import { principalName } from '../principal.ts';
import { required, type ToolCall, type ToolCallStep } from './tool-call.ts';

/** A fixed secret says nothing of who calls, so it does not go to tools that reach out into the world, unless somebody decided that. */
const assertClosedWorld = ({ name, tool }: ToolCall, auth: ProtectedAuth): void => {
  if (auth.kind !== 'static' || auth.allowOpenWorld || !required(tool, 'the tool').pinned.openWorld) return;
  throw new PlatformError(
    'not_permitted',
    `${name}: its server has a static secret, which does not go to tools that reach beyond it. Use another kind of \`spec.auth\`, or set \`allowOpenWorld\`.`,
  );
};

const exchangeFor = async (call: ToolCall, auth: ProtectedAuth, next: () => Promise<Reply>): Promise<Reply> => {
  call.credential = auth.kind;
  assertClosedWorld(call, auth);
  await call.gateway.credentials.of(required(call.tool, 'the tool').server, principalName(call.request.principal)).fresh();
  return next();
};

/**
 * A credential that only that server accepts, before anything is promised: what the caller came with never leaves the gateway. A server
 * that is sent none costs nothing here.
 */
export const exchange: ToolCallStep = (call, next) => {
  const auth = authOf(required(call.tool, 'the tool').server);
  return auth === undefined ? next() : exchangeFor(call, auth, next);
};
