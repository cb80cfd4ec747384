import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import {
  createMcpHandler,
  type InputRequiredResult,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ResourceNotFoundError,
  Server,
  type ServerContext,
} from '@modelcontextprotocol/server';
import { listedPrompts, listedResources, listedTemplates, readFixture, renderPrompt } from './fixture-resources.ts';
import { fixtureTools, listedTools, type Question, type ToolIo } from './fixture-tools.ts';

type Json = Record<string, unknown>;

/** Thrown by a tool that cannot go on before these are answered. */
class InputNeeded extends Error {
  readonly result: InputRequiredResult;
  constructor(result: InputRequiredResult) {
    super('input is needed');
    this.result = result;
  }
}

const tasksExtension = 'io.modelcontextprotocol/tasks';
const key = randomBytes(32);
const signed = (answers: Json): string => {
  const data = JSON.stringify({ answers, nonce: randomBytes(8).toString('hex') });
  return JSON.stringify({ data, tag: createHmac('sha256', key).update(data).digest('hex') });
};
const opened = (state: string): Json => {
  const parsed = JSON.parse(state) as { data: string; tag: string };
  if (createHmac('sha256', key).update(parsed.data).digest('hex') !== parsed.tag) throw new Error('tampered');
  return (JSON.parse(parsed.data) as { answers: Json }).answers;
};

const isAnswerTo = ({ method }: Question, answer: unknown): boolean =>
  typeof answer === 'object' &&
  answer !== null &&
  (method === 'elicitation/create' ? 'action' in answer : method === 'roots/list' ? 'roots' in answer : 'content' in answer);

const earlierAnswers = (ctx: ServerContext): Json => {
  const state = ctx.mcpReq.requestState<string>();
  if (state === undefined) return {};
  try {
    return opened(state);
  } catch {
    throw new ProtocolError(-32602, 'requestState integrity check failed');
  }
};

/**
 * The fixture as a server of 2026-07-28 alone, on the v2 SDK: what a tool asks becomes `input_required`, and its earlier answers a signed state.
 * Nothing in it is about gateways.
 */
export const startModernFixture = async (): Promise<{ url: string; close(): Promise<void> }> => {
  const isOn = { tools: true, prompts: true };

  const ioOf = (ctx: ServerContext): ToolIo => {
    const answers = earlierAnswers(ctx);
    const capabilities = ((ctx.mcpReq.envelope as Json | undefined)?.['io.modelcontextprotocol/clientCapabilities'] ?? {}) as Json;
    const progressToken = ctx.mcpReq._meta?.progressToken;
    return {
      progressToken,
      signal: ctx.mcpReq.signal,
      can: (capability) =>
        capability === 'tasks'
          ? (capabilities.extensions as Json | undefined)?.[tasksExtension] !== undefined
          : capabilities[capability] !== undefined,
      missing: (capability) => {
        const requiredCapabilities = capability === 'tasks' ? { extensions: { [tasksExtension]: {} } } : { [capability]: {} };
        throw new MissingRequiredClientCapabilityError({ requiredCapabilities });
      },
      progress: async (progress, total, message) => {
        if (progressToken === undefined) return;
        await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total, message } });
      },
      log: (data) => ctx.mcpReq.log('info', data),
      ask: async (questions, { withState = false } = {}) => {
        for (const [name, question] of Object.entries(questions)) {
          const answer = ctx.mcpReq.inputResponses?.[name];
          if (answers[name] === undefined && isAnswerTo(question, answer)) answers[name] = answer;
        }
        const open = Object.entries(questions).filter(([name]) => answers[name] === undefined);
        if (open.length === 0) return Object.fromEntries(Object.keys(questions).map((name) => [name, answers[name] as Json]));
        throw new InputNeeded({
          resultType: 'input_required',
          inputRequests: Object.fromEntries(open),
          ...(withState ? { requestState: signed(answers) } : {}),
        } as unknown as InputRequiredResult);
      },
      toggle: (kind) => {
        isOn[kind] = !isOn[kind];
        if (kind === 'tools') handler.notify.toolsChanged();
        else handler.notify.promptsChanged();
      },
    };
  };

  const orInput = async (work: () => Promise<unknown>): Promise<never> => {
    try {
      return (await work()) as never;
    } catch (error) {
      if (error instanceof InputNeeded) return error.result as never;
      throw error;
    }
  };

  const handler = createMcpHandler(
    () => {
      const server = new Server(
        { name: 'modern-fixture', version: '1.0.0' },
        {
          capabilities: {
            tools: { listChanged: true },
            prompts: { listChanged: true },
            resources: { listChanged: true, subscribe: true },
            completions: {},
            logging: {},
          },
        },
      );
      server.setRequestHandler('tools/list', () => ({ tools: listedTools(isOn.tools) }) as never);
      server.setRequestHandler('tools/call', ({ params }, ctx) =>
        orInput(async () => {
          const tool = fixtureTools.get(params.name);
          if (!tool) throw new ProtocolError(-32602, `Unknown tool: ${params.name}`);
          return tool.run(params.arguments ?? {}, ioOf(ctx));
        }),
      );
      server.setRequestHandler('prompts/list', () => ({ prompts: listedPrompts(isOn.prompts) }) as never);
      server.setRequestHandler('prompts/get', ({ params }, ctx) =>
        orInput(async () => {
          const prompt = await renderPrompt(params.name, params.arguments ?? {}, ioOf(ctx));
          if (!prompt) throw new ProtocolError(-32602, `Unknown prompt: ${params.name}`);
          return prompt;
        }),
      );
      server.setRequestHandler('resources/list', () => ({ resources: listedResources }) as never);
      server.setRequestHandler('resources/templates/list', () => ({ resourceTemplates: listedTemplates }) as never);
      server.setRequestHandler('resources/read', ({ params }) => {
        const contents = readFixture(params.uri);
        if (!contents) throw new ResourceNotFoundError(params.uri);
        return contents as never;
      });
      server.setRequestHandler('completion/complete', () => ({ completion: { values: [], total: 0, hasMore: false } }));
      return server;
    },
    { legacy: 'reject' },
  );
  const listener = createServer((request, response) => void toNodeHandler(handler)(request, response)).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}/mcp`,
    close: async () => {
      await handler.close();
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
};
