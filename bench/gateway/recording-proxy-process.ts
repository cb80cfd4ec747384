import { randomBytes } from 'node:crypto';
import type { HttpAnswer, ShortRequest } from '../../gateway/front/http-exchange.ts';
import { openListener } from '../../gateway/front/open-listener.ts';
import { writeTogether } from '../../gateway/front/write-together.ts';
import type { HttpSender } from '../../gateway/upstream/http-sender.ts';
import { createPlainSender } from '../../gateway/upstream/plain-sender.ts';
import type { NewAuditEvent } from '../../schema/audit-event.ts';
import { createAuditLog } from '../../store/audit-log.ts';
import { createAuditWriter } from '../../store/audit-writer.ts';
import { openDatabase } from '../../store/database.ts';
import { createOperationStore } from '../../store/operations.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { answerParent } from './answer-parent.ts';

/**
 * The least that a proxy does which puts each call on record: the gateway's own front, way up and audit, and nothing between them. It reads
 * no message, knows no caller and decides nothing, so the gateway cannot be faster than this on the same machine and database; what it
 * reaches of the direct calls says how much of a goal is to be had there. `/mcp/0` goes to the first server.
 */
const passedOn = ['content-type', 'accept', 'mcp-protocol-version', 'mcp-method', 'mcp-name'];

type Start = { ports: number[]; databaseUrl: string };

const pass = (sender: HttpSender, { headers, body }: ShortRequest, answer: HttpAnswer, onEnd: () => void): void => {
  const chunks: Buffer[] = [];
  let head: Record<string, string | number> = {};
  let status = 502;
  sender.send(
    {
      method: 'POST',
      path: '/mcp',
      headers: passedOn.flatMap((name) => (typeof headers[name] === 'string' ? [name, headers[name]] : [])),
      body: body.toString('latin1'),
    },
    {
      onSent: () => undefined,
      onStart: (given, { 'content-type': type = 'application/json' }) => {
        status = given;
        head = { 'content-type': type };
      },
      onData: (chunk) => void chunks.push(chunk),
      onEnd: () => {
        const text = (chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)).toString('latin1');
        answer.writeHead(status, { ...head, 'content-length': text.length });
        writeTogether(() => answer.end(text, 'latin1'));
        onEnd();
      },
      onError: () => answer.destroy(),
    },
  );
};

const eventOf = (name: string, rest: Pick<NewAuditEvent, 'kind' | 'outcome'>): NewAuditEvent => ({
  ...{ org: 'default', project: 'default', action: 'callTool', decision: 'allow', decisionId: '', tool: name },
  ...rest,
});

const start = async ({ ports, databaseUrl }: Start): Promise<number> => {
  const database = openDatabase({ url: databaseUrl, name: 'recording-proxy', max: 4 });
  const logger = createLogger({ name: 'recording-proxy' });
  const key = randomBytes(32).toString('base64');
  const log = createAuditLog({ database, process: 'recording-proxy', key });
  const audit = createAuditWriter({ database, log, logger });
  const operations = createOperationStore(database, log, deriveContentKeys(key, 'operations'), 'recording-proxy', { rows: audit });
  const senders = ports.map((port) => createPlainSender(`http://127.0.0.1:${port}`, { connectTimeoutMs: 5000, mostConnections: 512 }));
  const identity = { org: 'default', project: 'default', principal: 'bench', target: 'bench', argumentsDigest: '', isNamed: false };

  const handleShort = (request: ShortRequest, answer: HttpAnswer): void | Promise<void> => {
    const sender = senders[Number(request.url.slice('/mcp/'.length))];
    if (!sender) return void answer.writeHead(404).end();
    const name = String(request.headers['mcp-name']);
    if (name.startsWith('read')) return pass(sender, request, answer, () => audit.write(eventOf(name, { kind: 'call', outcome: 'ok' })));
    const onEnd = () => audit.write(eventOf(name, { kind: 'outcome', outcome: 'ok' }));
    return operations
      .begin({ ...identity, id: '' }, eventOf(name, { kind: 'intent', outcome: 'pending' }))
      .then(() => pass(sender, request, answer, onEnd));
  };
  const handle = (_request: unknown, answer: HttpAnswer): void => void answer.writeHead(404).end();
  const { port } = await openListener({ port: 0, handle, handleShort, logger, noticeMs: 0, drainMs: 0 });
  return port;
};

answerParent({ start });
