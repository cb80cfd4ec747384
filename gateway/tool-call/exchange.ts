import { PlatformError } from '../../schema/errors.ts';
import { authOf, type ProtectedAuth } from '../credentials/auth-of.ts';
import { type BackendBounds, decideExchange } from '../decide-exchange.ts';
import type { Reply } from '../mcp/message.ts';
import { principalName } from '../principal.ts';
import { argumentRefused } from '../surface/refuse.ts';
import { required, type ToolCall, type ToolCallStep } from './tool-call.ts';

/** A fixed secret says nothing of who calls, so it does not go to tools that reach out into the world, unless somebody decided that. */
const assertClosedWorld = ({ name, tool }: ToolCall, auth: ProtectedAuth): void => {
  if (auth.kind !== 'static' || auth.allowOpenWorld || !required(tool, 'the tool').pinned.openWorld) return;
  throw new PlatformError(
    'not_permitted',
    `${name}: its server has a static secret, which does not go to tools that reach beyond it. Use another kind of \`spec.auth\`, or set \`allowOpenWorld\`.`,
  );
};

const bounds = new WeakMap<ProtectedAuth, BackendBounds>();

/** What a server declares of tokens for it, the same object as long as the declaration is. How long they live is their issuer's to say. */
const boundsOf = (auth: ProtectedAuth): BackendBounds => {
  const known = bounds.get(auth);
  if (known) return known;
  const made = { scopes: 'scopes' in auth ? auth.scopes : [], maxTtlSeconds: 0 };
  bounds.set(auth, made);
  return made;
};

/** Whether the caller may be given a credential for this server. @throws {PlatformError} `argument_refused` */
const assertMayExchange = (call: ToolCall, auth: ProtectedAuth): void => {
  const tool = required(call.tool, 'the tool');
  const { principal } = call.request;
  const known = boundsOf(auth);
  const token = { scopes: known.scopes, ttlSeconds: 0, depth: principal.kind === 'agent' ? 1 : 0 };
  const decision = decideExchange(call.gateway, principal, tool, known, token);
  if (decision.effect === 'allow') return;
  call.decision = decision;
  throw argumentRefused(tool.name, decision);
};

const exchangeFor = async (call: ToolCall, auth: ProtectedAuth, next: () => Promise<Reply>): Promise<Reply> => {
  call.credential = auth.kind;
  assertClosedWorld(call, auth);
  assertMayExchange(call, auth);
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
