import { pixel, type ToolIo } from './fixture-tools.ts';

type Json = Record<string, unknown>;

const resources: { uri: string; name: string; mimeType: string; content: Json }[] = [
  {
    uri: 'test://static-text',
    name: 'static-text',
    mimeType: 'text/plain',
    content: { text: 'This is the content of the static text resource.' },
  },
  { uri: 'test://static-binary', name: 'static-binary', mimeType: 'image/png', content: { blob: pixel } },
  { uri: 'test://watched-resource', name: 'watched-resource', mimeType: 'text/plain', content: { text: 'Watched resource content' } },
];

export const listedResources: Json[] = resources.map(({ content: _content, ...resource }) => resource);
export const listedTemplates: Json[] = [
  { uriTemplate: 'test://template/{id}/data', name: 'template', description: 'One for each id', mimeType: 'application/json' },
];

/** The contents of a resource, or undefined where there is none. */
export const readFixture = (uri: string): Json | undefined => {
  const known = resources.find((resource) => resource.uri === uri);
  if (known) return { contents: [{ uri, mimeType: known.mimeType, ...known.content }] };
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id === undefined) return undefined;
  const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
  return { contents: [{ uri, mimeType: 'application/json', text: data }] };
};

const user = (content: Json): Json => ({ role: 'user', content });
const text = (value: string): Json => user({ type: 'text', text: value });

const prompts: { name: string; description: string; arguments?: Json[]; run(args: Json, io: ToolIo): Promise<Json[]> }[] = [
  { name: 'test_simple_prompt', description: 'Without arguments', run: async () => [text('This is a simple prompt for testing.')] },
  {
    name: 'test_prompt_with_arguments',
    description: 'With two arguments',
    arguments: [
      { name: 'arg1', description: 'First test argument', required: true },
      { name: 'arg2', description: 'Second test argument', required: true },
    ],
    run: async ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  },
  {
    name: 'test_prompt_with_embedded_resource',
    description: 'Embeds a resource',
    arguments: [{ name: 'resourceUri', description: 'URI of the resource to embed', required: true }],
    run: async ({ resourceUri }) => [
      user({ type: 'resource', resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' } }),
      text('Please process the embedded resource above.'),
    ],
  },
  {
    name: 'test_prompt_with_image',
    description: 'Shows an image',
    run: async () => [user({ type: 'image', data: pixel, mimeType: 'image/png' }), text('Please analyze the image above.')],
  },
  {
    name: 'test_input_required_result_prompt',
    description: 'Asks for context first',
    run: async (_args, io) => {
      const { user_context } = await io.ask({
        user_context: {
          method: 'elicitation/create',
          params: {
            message: 'What context should the prompt use?',
            requestedSchema: { type: 'object', properties: { context: { type: 'string' } }, required: ['context'] },
          },
        },
      });
      return [text(`Prompt with context: ${(user_context?.content as Json | undefined)?.context ?? 'unknown'}`)];
    },
  },
];

export const listedPrompts = (isToggledOn: boolean): Json[] => [
  ...prompts.map(({ run: _run, ...prompt }) => prompt),
  ...(isToggledOn ? [{ name: 'test_toggled_prompt', description: 'Comes and goes' }] : []),
];

/** The messages of a prompt, or undefined where there is none. */
export const renderPrompt = async (name: string, args: Json, io: ToolIo): Promise<Json | undefined> => {
  const prompt = prompts.find((candidate) => candidate.name === name);
  return prompt && { messages: await prompt.run(args, io) };
};
