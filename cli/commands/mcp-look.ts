import { type ConnectionOptions, connectedCommand, openSession } from '../client/session.ts';
import { readPairs } from '../mcp/read-arguments.ts';
import { withClient } from '../mcp/with-client.ts';
import { type Format, formatOption } from '../output/format-option.ts';
import { contentText, forOutput, resourceText } from '../output/mcp-content.ts';
import { renderTable } from '../output/table.ts';
import { print, say } from '../output/talk.ts';

type Options = ConnectionOptions & { toolset?: string; format: Format };
type ListOptions = ConnectionOptions & { prompts?: boolean; resources?: boolean; format: Format };
type Listed = { name: string; title?: string; description?: string; uri?: string; uriTemplate?: string };

const toolsetOption = ['--toolset <name>', 'of this toolset; without it, of everything you may use'] as const;

const firstLine = ({ title, description }: Listed): string => (description ?? title ?? '').trim().split('\n')[0] ?? '';

const show = (what: string, head: string, all: Listed[], nameOf: (each: Listed) => string, format: Format): void => {
  if (all.length === 0) say(`There are no ${what} here that you may use.`);
  else
    print(
      format === 'name'
        ? all.map(nameOf).join('\n')
        : renderTable(
            [head, 'DESCRIPTION'],
            all.map((each) => [nameOf(each), firstLine(each)]),
          ),
    );
};

const list = async (toolset: string | undefined, { prompts, resources, format, ...connection }: ListOptions): Promise<void> =>
  withClient(openSession(connection), toolset, async (client) => {
    const offers = client.getServerCapabilities();
    const found: Record<string, Listed[]> = prompts
      ? { prompts: offers?.prompts ? (await client.listPrompts()).prompts : [] }
      : resources
        ? {
            resources: offers?.resources ? (await client.listResources()).resources : [],
            resourceTemplates: offers?.resources ? (await client.listResourceTemplates()).resourceTemplates : [],
          }
        : { tools: offers?.tools ? (await client.listTools()).tools : [] };
    if (format === 'json') return print(JSON.stringify(found, undefined, 2));
    if (resources) {
      const all = [...(found.resources ?? []), ...(found.resourceTemplates ?? [])];
      return show('resources', 'URI', all, ({ uri, uriTemplate, name }) => uri ?? uriTemplate ?? name, format);
    }
    const [what = 'tools', all = []] = Object.entries(found)[0] ?? [];
    show(what, 'NAME', all, ({ name }) => name, format);
  });

const read = async (uri: string, { toolset, format, ...connection }: Options): Promise<void> =>
  withClient(openSession(connection), toolset, async (client) => {
    const result = await client.readResource({ uri });
    if (format === 'json') return print(JSON.stringify(result, undefined, 2));
    for (const contents of result.contents) print(forOutput(resourceText(contents)));
  });

const prompt = async (name: string, pairs: string[], { toolset, format, ...connection }: Options): Promise<void> => {
  const given = Object.fromEntries(readPairs(pairs));
  await withClient(openSession(connection), toolset, async (client) => {
    const result = await client.getPrompt({ name, arguments: given });
    if (format === 'json') return print(JSON.stringify(result, undefined, 2));
    print(forOutput(result.messages.map(({ role, content }) => `${role}: ${contentText(content)}`).join('\n\n')));
  });
};

export const mcpListCommand = () =>
  connectedCommand('ls')
    .description('List the tools that you may use')
    .argument('[toolset]', 'of this toolset; without it, everything')
    .option('--prompts', 'prompts instead')
    .option('--resources', 'resources and their templates instead')
    .addOption(formatOption(['table', 'json', 'name']))
    .action(list);

export const mcpReadCommand = () =>
  connectedCommand('read')
    .description('Read a resource')
    .argument('<uri>', 'as `quarterdeck mcp ls --resources` shows it')
    .option(...toolsetOption)
    .addOption(formatOption(['table', 'json']))
    .action(read);

export const mcpPromptCommand = () =>
  connectedCommand('prompt')
    .description('Get a prompt, filled in')
    .argument('<prompt>', 'its name')
    .argument('[name=value...]', 'its arguments')
    .option(...toolsetOption)
    .addOption(formatOption(['table', 'json']))
    .action(prompt);
