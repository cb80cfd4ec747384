// A stdio MCP server for tests of the host: plain JSON lines, no library, and able to misbehave on request.
import * as child from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import { createInterface } from 'node:readline';
import { runInThisContext } from 'node:vm';

type Message = { id?: string | number; method?: string; params?: Record<string, unknown>; result?: unknown; error?: unknown };
type Arguments = Record<string, unknown>;

const held = new Map<string, () => void>();
const cancelled: unknown[] = [];
/** What its tools are said to do, as a file says when it starts. */
const description =
  process.env.TINY_DESCRIPTION === undefined ? {} : { description: fs.readFileSync(process.env.TINY_DESCRIPTION, 'utf8') };
const answersToUs = new Map<string, (message: Message) => void>();
const arrived: unknown[] = [];
const heard: Message[] = [];

const send = (message: object): void => void process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
const text = (value: unknown) => ({ content: [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }] });
const ask = (method: string, params: unknown = {}): Promise<Message> =>
  new Promise((resolve) => {
    answersToUs.set(method, resolve);
    send({ id: method, method, params });
  });

const tools: Record<string, (args: Arguments, token: unknown) => unknown> = {
  echo: (args) => text(args.text),
  arguments: (args) => text(args),
  hold: (args) => new Promise((resolve) => held.set(String(args.name), () => resolve(text(args.text)))),
  release: (args) => {
    held.get(String(args.name))?.();
    return text(held.has(String(args.name)) ? 'released' : 'nobody holds that');
  },
  held: () => text([...held.keys()]),
  progress: (args, token) => {
    for (let step = 1; step <= Number(args.steps); step += 1)
      if (token !== undefined) send({ method: 'notifications/progress', params: { progressToken: token, progress: step } });
    return text(token === undefined ? 'no token' : 'done');
  },
  garbage: () => {
    process.stdout.write('Server starting up...\n{"jsonrpc":"2.0","id":1,\n[]\n42\n\n{"a":1}\n');
    return text('still here');
  },
  big: (args) => text('x'.repeat(Number(args.bytes))),
  cancelled: () => text(cancelled),
  arrived: () => text(arrived),
  /** Whatever arrived of one method, with its parameters. */
  heard: (args) => text(heard.filter(({ method }) => method === args.method).map(({ params }) => params)),
  /** Writes the messages it is given. */
  say: (args) => {
    for (const message of args.messages as object[]) send(message);
    return text('said');
  },
  /** Asks its client and answers with what it heard. */
  consult: async (args) => text(await ask(String(args.method), args.params)),
  ask: async () =>
    text(await Promise.all(['ping', 'sampling/createMessage', 'elicitation/create', 'roots/list'].map((method) => ask(method)))),
  /** Says that its tools changed. */
  change: () => {
    send({ method: 'notifications/tools/list_changed' });
    return text('changed');
  },
  /** Answers with the JSON-RPC error it is given. */
  refuse: (args) => ({ refusal: args.error }),
  exit: (args) => process.exit(Number(args.code)),
  about: () => text({ pid: process.pid, env: process.env, argv: process.argv.slice(2) }),
  /** Runs a script with `fs`, `os` and `child` at hand and answers with the value of its last statement. */
  evaluate: async (args) => {
    Object.assign(globalThis, { fs, os, child });
    return text(String(await runInThisContext(String(args.script))));
  },
  complain: (args) => {
    process.stderr.write(`${'e'.repeat(Number(args.bytes))}\n`);
    return text('complained');
  },
};

const answer = async ({ id, method, params = {} }: Message): Promise<void> => {
  if (method === 'initialize') {
    const protocolVersion = process.env.TINY_PROTOCOL ?? params.protocolVersion;
    const capabilities = JSON.parse(process.env.TINY_CAPABILITIES ?? '{"tools":{}}');
    return send({ id, result: { protocolVersion, capabilities, serverInfo: { name: 'tiny', version: '1.0.0' } } });
  }
  if (['resources/subscribe', 'resources/unsubscribe', 'logging/setLevel'].includes(String(method)) && process.env.TINY_CAPABILITIES)
    return send({ id, result: {} });
  if (method === 'tools/list')
    return send({ id, result: { tools: Object.keys(tools).map((name) => ({ name, ...description, inputSchema: { type: 'object' } })) } });
  const tool = method === 'tools/call' ? tools[String(params.name)] : undefined;
  if (tool === undefined) return send({ id, error: { code: -32601, message: `unknown: ${method}` } });
  const meta = params._meta as Record<string, unknown> | undefined;
  const result = await tool((params.arguments ?? {}) as Arguments, meta?.progressToken);
  if (typeof result === 'object' && result !== null && 'refusal' in result) send({ id, error: result.refusal });
  else send({ id, result });
};

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const message = JSON.parse(line) as Message;
    arrived.push(message.method ?? 'answer');
    heard.push(message);
    // Some servers end at what they do not know, others say nothing.
    if (message.method === 'server/discover' && process.env.TINY_DISCOVER === 'exit') process.exit(7);
    if (message.method === 'server/discover' && process.env.TINY_DISCOVER === 'silent') return;
    if (message.method === 'notifications/cancelled') cancelled.push(message.params?.requestId);
    else if (message.method === undefined) answersToUs.get(String(message.id))?.(message);
    else if (message.id !== undefined) void answer(message);
  })
  .on('close', () => {
    // A stubborn server outlives its input.
    if (process.env.STUBBORN === undefined) process.exit(0);
    setInterval(() => {}, 60_000);
  });
