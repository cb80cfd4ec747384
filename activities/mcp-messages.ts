import { z } from 'zod';
import { type ErrorCode, errorKinds, PlatformError } from '../schema/errors.ts';
import { operationIdMeta } from '../schema/workflow-contract.ts';

/** The revision spoken with the gateway: stateless, each request carries all the server must know. */
export const mcpRevision = '2026-07-28';

/**
 * One JSON-RPC request of that revision with the headers it needs beside `authorization`.
 * @see https://modelcontextprotocol.io/specification/2026-07-28
 */
export const mcpRequest = (method: 'tools/list' | 'tools/call', params: Record<string, unknown>, operationId?: string) => {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': mcpRevision,
    'io.modelcontextprotocol/clientInfo': { name: 'quarterdeck-worker', version: '0.1.0' },
    'io.modelcontextprotocol/clientCapabilities': {},
    ...(operationId === undefined ? {} : { [operationIdMeta]: operationId }),
  };
  return {
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': mcpRevision,
      'mcp-method': method,
      ...(typeof params.name === 'string' ? { 'mcp-name': params.name } : {}),
      ...(operationId === undefined ? {} : { 'idempotency-key': operationId }),
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: meta } }),
  };
};

const MessageSchema = z.looseObject({
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  result: z.looseObject({}).optional(),
  error: z.looseObject({ code: z.number(), message: z.string(), data: z.unknown().optional() }).optional(),
});
export type McpMessage = z.infer<typeof MessageSchema>;

/** The `data` fields of the events of a stream. @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
const eventsOf = (text: string): string[] =>
  text.split(/\r?\n\r?\n/).flatMap((event) => {
    const data = event.split(/\r?\n/).flatMap((line) => (line.startsWith('data:') ? [line.slice(5).replace(/^ /, '')] : []));
    return data.length > 0 ? [data.join('\n')] : [];
  });

const parse = (text: string): McpMessage | undefined => {
  try {
    return MessageSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
};

/** Finds the answer in a JSON body or a stream of events; notifications before it are passed over. */
export const readMcpAnswer = (contentType: string, text: string): McpMessage | undefined => {
  const messages = contentType.includes('text/event-stream') ? eventsOf(text).map(parse) : [parse(text)];
  return messages.find((message) => message?.result !== undefined || message?.error !== undefined);
};

const FactsSchema = z.object({
  code: z.string().optional(),
  decisionId: z.string().optional(),
  decision_id: z.string().optional(),
  reason: z.string().optional(),
  approvalId: z.string().optional(),
  expiresAt: z.string().optional(),
  retryAfterSeconds: z.number().optional(),
});

/** Reads a refusal as the gateway wrote it; undefined where the code is none of ours. */
export const platformErrorOf = (facts: unknown, detail: string): PlatformError | undefined => {
  const { code, decisionId, decision_id, ...known } = FactsSchema.safeParse(facts).data ?? {};
  if (code === undefined || !(code in errorKinds)) return undefined;
  const decision = decisionId ?? decision_id;
  const present = Object.fromEntries(Object.entries(known).filter((fact): fact is [string, string | number] => fact[1] !== undefined));
  return new PlatformError(code as ErrorCode, detail, {
    facts: { ...(decision ? { decisionId: decision } : {}), ...present },
  });
};
