import { setTimeout as delay } from 'node:timers/promises';

type Json = Record<string, unknown>;
export type Question = { method: 'elicitation/create' | 'sampling/createMessage' | 'roots/list'; params?: Json };

/** What a tool of the fixture may do while it runs, whichever era carries it. */
export type ToolIo = {
  progressToken: string | number | undefined;
  progress(progress: number, total: number, message: string): Promise<void>;
  log(data: string): Promise<void>;
  /** Asks the client all of these, and resolves with the answers by key. `withState`: the modern era carries a signed state along. */
  ask(questions: Record<string, Question>, options?: { withState?: boolean }): Promise<Record<string, Json>>;
  can(capability: 'elicitation' | 'sampling' | 'roots' | 'tasks'): boolean;
  /** Refuses a client that has not declared a capability. */
  missing(capability: 'sampling' | 'tasks'): never;
  /** Legacy: closes the request's stream, so that the client has to take it up again. */
  closeStream?(): void;
  /** Shows or hides an item of a list, and tells whoever listens. */
  toggle(kind: 'tools' | 'prompts'): void;
  signal: AbortSignal;
};
export type FixtureTool = {
  name: string;
  description: string;
  inputSchema?: Json;
  execution?: { taskSupport: 'optional' | 'required' };
  run(args: Json, io: ToolIo): Promise<Json>;
};

/** One red pixel, and a WAV file without sound. */
export const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const silence = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

const text = (value: string): Json => ({ type: 'text', text: value });
const image: Json = { type: 'image', data: pixel, mimeType: 'image/png' };
const saying = (value: string): Json => ({ content: [text(value)] });
const form = (message: string, properties: Json, required: string[] = Object.keys(properties)): Question => ({
  method: 'elicitation/create',
  params: { message, requestedSchema: { type: 'object', properties, required } },
});
const sampling = (prompt: string, maxTokens: number): Question => ({
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: text(prompt) }], maxTokens },
});
const listRoots: Question = { method: 'roots/list', params: {} };
const string = { type: 'string' };

const contentOf = (answer: Json | undefined): Json => (answer?.content ?? {}) as Json;
const field = (answer: Json | undefined, name: string): string => String(contentOf(answer)[name] ?? 'unknown');
const rootsIn = (answer: Json | undefined): number => (Array.isArray(answer?.roots) ? answer.roots.length : 0);

/** The schema that has to come through word for word. */
const wholeVocabulary: Json = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: string, city: string } } },
  properties: {
    name: string,
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: string,
    email: string,
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  ...{ if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] }, then: { required: ['phone'] } },
  else: { required: ['email'] },
  additionalProperties: false,
};

const choices = (names: string[]) => names.map((name, index) => ({ const: `value${index + 1}`, title: `${name} Option` }));
const described = (answer: Json | undefined): string =>
  `Elicitation completed: action=${answer?.action}, content=${JSON.stringify(contentOf(answer))}`;

const plain: FixtureTool[] = [
  {
    name: 'test_simple_text',
    description: 'Answers with a text',
    run: async () => saying('This is a simple text response for testing.'),
  },
  { name: 'test_image_content', description: 'Answers with an image', run: async () => ({ content: [image] }) },
  {
    name: 'test_audio_content',
    description: 'Answers with a sound',
    run: async () => ({ content: [{ type: 'audio', data: silence, mimeType: 'audio/wav' }] }),
  },
  {
    name: 'test_embedded_resource',
    description: 'Answers with a resource',
    run: async () => ({
      content: [
        {
          type: 'resource',
          resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'This is an embedded resource content.' },
        },
      ],
    }),
  },
  {
    name: 'test_multiple_content_types',
    description: 'Answers with text, image and resource',
    run: async () => ({
      content: [
        text('Multiple content types test:'),
        image,
        {
          type: 'resource',
          resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data","value":123}' },
        },
      ],
    }),
  },
  {
    name: 'test_error_handling',
    description: 'Fails',
    run: async () => ({ ...saying('This tool intentionally returns an error for testing'), isError: true }),
  },
  {
    name: 'json_schema_2020_12_tool',
    description: 'Has a schema with the whole vocabulary',
    inputSchema: wholeVocabulary,
    run: async (args) => saying(JSON.stringify(args)),
  },
  {
    name: 'test_header_parameter',
    description: 'Has a parameter that is mirrored into a header',
    inputSchema: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } }, required: ['region'] },
    run: async ({ region }) => saying(`region ${region}`),
  },
];

const noticing: FixtureTool[] = [
  {
    name: 'test_tool_with_logging',
    description: 'Logs while it runs',
    run: async (_args, io) => {
      for (const step of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await io.log(step);
        await delay(20);
      }
      return saying('Tool with logging executed successfully');
    },
  },
  {
    name: 'test_logging_tool',
    description: 'Logs one line',
    run: async (_args, io) => {
      await io.log('Logging evaluated');
      return saying('Logging evaluated');
    },
  },
  {
    name: 'test_tool_with_progress',
    description: 'Reports its progress',
    run: async (_args, io) => {
      for (const done of [0, 50, 100]) {
        await io.progress(done, 100, `Completed step ${done} of 100`);
        await delay(20);
      }
      return saying(String(io.progressToken ?? 0));
    },
  },
  {
    name: 'test_streaming_elicitation',
    description: 'Reports its progress, then ends',
    run: async (_args, io) => {
      await io.progress(50, 100, 'half');
      return saying('Streaming complete');
    },
  },
  {
    name: 'test_reconnection',
    description: 'Closes its stream in the middle',
    run: async (_args, io) => {
      io.closeStream?.();
      await delay(100);
      return saying('Reconnection test completed successfully.');
    },
  },
  ...(['tools', 'prompts'] as const).map(
    (kind): FixtureTool => ({
      name: `test_trigger_${kind.slice(0, -1)}_change`,
      description: `Changes the list of ${kind}`,
      run: async (_args, io) => {
        io.toggle(kind);
        return saying('Mutation triggered');
      },
    }),
  ),
];

const asking: FixtureTool[] = [
  {
    name: 'test_sampling',
    description: 'Asks for a completion',
    inputSchema: { type: 'object', properties: { prompt: string }, required: ['prompt'] },
    run: async ({ prompt }, io) => {
      const { sample } = await io.ask({ sample: sampling(String(prompt), 100) });
      return saying(`LLM response: ${contentOf(sample).text ?? 'No response'}`);
    },
  },
  {
    name: 'test_elicitation',
    description: 'Asks the person',
    inputSchema: { type: 'object', properties: { message: string }, required: ['message'] },
    run: async ({ message }, io) => {
      const { answer } = await io.ask({ answer: form(String(message), { response: { type: 'string', description: "User's response" } }) });
      return saying(`User response: action=${answer?.action}, content=${JSON.stringify(contentOf(answer))}`);
    },
  },
  {
    name: 'test_elicitation_sep1034_defaults',
    description: 'Asks with defaults',
    run: async (_args, io) => {
      const properties = {
        name: { type: 'string', description: 'User name', default: 'John Doe' },
        age: { type: 'integer', description: 'User age', default: 30 },
        score: { type: 'number', description: 'User score', default: 95.5 },
        status: { type: 'string', description: 'User status', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', description: 'Verification status', default: true },
      };
      const { answer } = await io.ask({ answer: form('Please review and update the form fields with defaults', properties, []) });
      return saying(described(answer));
    },
  },
  {
    name: 'test_elicitation_sep1330_enums',
    description: 'Asks with each kind of choice',
    run: async (_args, io) => {
      const options = ['option1', 'option2', 'option3'];
      const properties = {
        untitledSingle: { type: 'string', description: 'Select one option', enum: options },
        titledSingle: { type: 'string', description: 'Select one option with titles', oneOf: choices(['First', 'Second', 'Third']) },
        legacyEnum: {
          type: 'string',
          description: 'Select one option (legacy)',
          enum: ['opt1', 'opt2', 'opt3'],
          enumNames: ['Option One', 'Option Two', 'Option Three'],
        },
        untitledMulti: {
          type: 'array',
          description: 'Select multiple options',
          minItems: 1,
          maxItems: 3,
          items: { type: 'string', enum: options },
        },
        titledMulti: {
          type: 'array',
          description: 'Select multiple options with titles',
          minItems: 1,
          maxItems: 3,
          items: { anyOf: choices(['First', 'Second', 'Third']) },
        },
      };
      const { answer } = await io.ask({ answer: form('Please select options from the enum fields', properties, []) });
      return saying(described(answer));
    },
  },
  {
    name: 'test_missing_capability',
    description: 'Needs sampling',
    run: async (_args, io) => (io.can('sampling') ? saying('Success') : io.missing('sampling')),
  },
];

const named = (name: string): string => `test_input_required_result_${name}`;
const userName = form('What is your name?', { name: string });
const confirm = form('Please confirm', { ok: { type: 'boolean' } });

const rounds: FixtureTool[] = [
  {
    name: named('elicitation'),
    description: 'Asks for a name',
    run: async (_args, io) => saying(`Hello, ${field((await io.ask({ user_name: userName })).user_name, 'name')}!`),
  },
  {
    name: named('sampling'),
    description: 'Asks for a completion',
    run: async (_args, io) => {
      const { sample_request } = await io.ask({ sample_request: sampling('What is the capital of France?', 100) });
      return saying(`Sampling result: ${contentOf(sample_request).text ?? 'no response'}`);
    },
  },
  {
    name: named('list_roots'),
    description: 'Asks for the roots',
    run: async (_args, io) => saying(`Found ${rootsIn((await io.ask({ roots_request: listRoots })).roots_request)} root(s)`),
  },
  ...['request_state', 'tampered_state'].map(
    (name): FixtureTool => ({
      name: named(name),
      description: 'Carries a signed state',
      run: async (_args, io) => {
        await io.ask({ confirm }, { withState: true });
        return saying(name === 'request_state' ? 'state-ok: requestState validated' : 'integrity-ok: state verified');
      },
    }),
  ),
  {
    name: named('multiple_inputs'),
    description: 'Asks three things at once',
    run: async (_args, io) => {
      const questions = { user_name: userName, greeting: sampling('Generate a greeting', 50), client_roots: listRoots };
      const { user_name, greeting, client_roots } = await io.ask(questions, { withState: true });
      return saying(
        `Name: ${field(user_name, 'name')}; Greeting: ${contentOf(greeting).text ?? 'Hello there!'}; Roots: ${rootsIn(client_roots)}`,
      );
    },
  },
  {
    name: named('multi_round'),
    description: 'Asks twice',
    run: async (_args, io) => {
      const { step1 } = await io.ask({ step1: form('Step 1: What is your name?', { name: string }) }, { withState: true });
      const { step2 } = await io.ask({ step2: form('Step 2: What is your favorite color?', { color: string }) }, { withState: true });
      return saying(`Multi-round complete for ${field(step1, 'name')} who likes ${field(step2, 'color')}`);
    },
  },
  {
    name: named('capabilities'),
    description: 'Asks only what the client can answer',
    run: async (_args, io) => {
      const questions: Record<string, Question> = {
        ...(io.can('elicitation') ? { elicit_input: form('Elicitation input', { value: string }) } : {}),
        ...(io.can('sampling') ? { sample_input: sampling('Sample request', 50) } : {}),
      };
      if (Object.keys(questions).length === 0) return saying('No supported capabilities declared');
      return saying(`capabilities-ok: received ${Object.keys(await io.ask(questions, { withState: true })).join(',')}`);
    },
  },
];

const optional = { taskSupport: 'optional' } as const;
const required = { taskSupport: 'required' } as const;
/** Long enough that a caller who can is given a task. */
const aWhileMs = 800;

/** Labels of calls of `slow_compute` that were cancelled while they ran. */
export const cancelledCalls = new Set<string>();

const long: FixtureTool[] = [
  {
    name: 'greet',
    description: 'Answers at once',
    inputSchema: { type: 'object', properties: { name: string } },
    run: async ({ name }) => saying(`Hello, ${name}!`),
  },
  {
    name: 'slow_compute',
    description: 'Sleeps, then answers',
    inputSchema: { type: 'object', properties: { seconds: { type: 'number' }, label: string } },
    execution: optional,
    run: async ({ seconds, label }, io) => {
      io.signal.addEventListener('abort', () => cancelledCalls.add(String(label)));
      await delay(Number(seconds ?? 0) * 1000, undefined, { signal: io.signal });
      return saying(`slow_compute ${label ?? ''} done`);
    },
  },
  {
    name: 'failing_job',
    description: 'Works, then fails',
    execution: required,
    run: async (_args, io) => {
      if (!io.can('tasks')) io.missing('tasks');
      await delay(aWhileMs, undefined, { signal: io.signal });
      return { ...saying('the job failed'), isError: true };
    },
  },
  {
    name: 'protocol_error_job',
    description: 'Works, then breaks',
    execution: optional,
    run: async (_args, io) => {
      await delay(aWhileMs, undefined, { signal: io.signal });
      throw new Error('the job broke');
    },
  },
  {
    name: 'confirm_delete',
    description: 'Works, asks, then answers',
    inputSchema: { type: 'object', properties: { filename: string } },
    execution: optional,
    run: async ({ filename }, io) => {
      await delay(aWhileMs, undefined, { signal: io.signal });
      const { confirm: answer } = await io.ask({ confirm: form(`Delete ${filename}?`, { confirm: { type: 'boolean' } }) });
      return saying(`confirm_delete ${filename}: ${answer?.action}`);
    },
  },
  {
    name: 'multi_input',
    description: 'Works, asks two things at once, then answers',
    execution: optional,
    run: async (_args, io) => {
      await delay(aWhileMs, undefined, { signal: io.signal });
      const { first, second } = await io.ask({ first: form('First?', { name: string }), second: form('Second?', { name: string }) });
      return saying(`multi_input ${field(first, 'name')} ${field(second, 'name')}`);
    },
  },
  {
    name: 'test_tool_with_task',
    description: 'Asks, then works long',
    execution: required,
    run: async (_args, io) => {
      const { user_name } = await io.ask({ user_name: userName });
      await delay(aWhileMs, undefined, { signal: io.signal });
      return saying(`Hello, ${field(user_name, 'name')}!`);
    },
  },
];

/** What the conformance scenarios call, by name. */
export const fixtureTools: ReadonlyMap<string, FixtureTool> = new Map(
  [...plain, ...noticing, ...asking, ...rounds, ...long].map((tool) => [tool.name, tool]),
);
/** Listed or not, as it is toggled. */
export const toggledTool: Json = { name: 'test_toggled_tool', description: 'Comes and goes', inputSchema: { type: 'object' } };

export const listedTools = (isToggledOn: boolean): Json[] => [
  ...[...fixtureTools.values()].map(({ name, description, inputSchema, execution }) => ({
    name,
    description,
    inputSchema: inputSchema ?? { type: 'object', properties: {} },
    ...(execution ? { execution } : {}),
  })),
  ...(isToggledOn ? [toggledTool] : []),
];
