import { type LexicalFacts, lexicalFacts } from '../../policy/argument-facts.ts';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import type { Reply } from '../mcp/message.ts';
import { callerOf } from '../surface/caller-of.ts';
import { resolveFacts } from '../surface/resolve-facts.ts';
import { required, type ToolCall, type ToolCallStep } from './tool-call.ts';

const resolved = async (call: ToolCall, lexical: LexicalFacts, next: () => Promise<Reply>): Promise<Reply> => {
  const { server } = required(call.tool, 'the tool');
  const connection = required(call.connection, 'the connection');
  const [facts] = await resolveFacts(server, connection, [lexical]).catch((cause: unknown) => {
    // the host was started anew and has no such instance, or does not answer: the next try connects again. What the host says of
    // these paths alone is no reason to take the connection from everybody else.
    if (isPlatformError(cause) && cause.code !== 'server_unavailable' && cause.code !== 'not_found') throw cause;
    call.pool.forget(server, callerOf(call.request));
    throw new PlatformError('server_unavailable', `The MCP server ${server.metadata.name} does not answer; try again in a moment.`, {
      cause,
    });
  });
  call.facts = required(facts, 'the facts');
  return next();
};

/** Turns path, URL and host arguments into the facts that policies decide on, links resolved by the process that holds the folders. */
export const canonicalize: ToolCallStep = (call, next) => {
  const { server, pinned } = required(call.tool, 'the tool');
  const lexical = lexicalFacts(call.arguments, server.spec.arguments[pinned.name]);
  if (call.connection?.resolvePaths) return resolved(call, lexical, next);
  // nobody here holds a server's folders that runs elsewhere
  call.facts = { ...lexical, roots: [] };
  return next();
};
