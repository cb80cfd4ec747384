import type { ResultOutcome, ToolDescription, Transcript, TranscriptEntry, TranscriptHead } from '../../agents/conversation.ts';
import type { JsonObject } from '../../agents/json.ts';

const described = (name: string, properties: JsonObject, required: string[]): ToolDescription => ({
  name,
  description: `The tool ${name}.`,
  inputSchema: { type: 'object', properties, required },
});

export const treeTool = described('directory_tree', { path: { type: 'string' }, excludePatterns: { type: 'array' } }, ['path']);
export const readTool = described('read_text_file', { path: { type: 'string' }, head: { type: 'number' } }, ['path']);
export const writeTool = described('write_file', { path: { type: 'string' }, content: { type: 'string' } }, ['path', 'content']);

/** A conversation of a role that must call `directory_tree` and answer with files, decoded by a grammar unless said otherwise. */
export const transcriptOf = (head: Partial<TranscriptHead> = {}, entries: TranscriptEntry[] = []): Transcript => ({
  head: {
    version: 1,
    attempt: 1,
    instructions: 'List the files, then choose some.',
    input: { root: '/input' },
    tools: [treeTool],
    requiredCalls: ['directory_tree'],
    output: {
      type: 'object',
      properties: { files: { type: 'array', items: { type: 'string', 'x-from': 'seen' }, uniqueItems: true, maxItems: 12 } },
      required: ['files'],
      additionalProperties: false,
    },
    model: { alias: 'survey', decoding: 'constrained', contextTokens: 4096, maxOutputTokens: 512 },
    ...head,
  },
  entries,
});

/** A call and its result, as they stand in a transcript. */
export const called = (tool: string, args: JsonObject, text: string, outcome: ResultOutcome = 'ok'): TranscriptEntry[] => [
  { kind: 'answer', text: JSON.stringify({ tool, arguments: args }), calls: [{ tool, arguments: args }] },
  { kind: 'result', outcome, text },
];

/** A directory tree of `count` files in folders of ten, as `directory_tree` prints it. */
export const treeOf = (count: number): string => {
  const folders = Array.from({ length: Math.ceil(count / 10) }, (_, folder) => ({
    name: `folder-${folder}`,
    type: 'directory',
    children: Array.from({ length: Math.min(10, count - folder * 10) }, (_, file) => ({ name: `file-${folder}-${file}.ts`, type: 'file' })),
  }));
  return JSON.stringify(folders, null, 2);
};

/** Judges nothing: for tests of what comes before and after the schemas. */
export const acceptAll = { answer: (): string[] => [], arguments: (): string[] => [] };
