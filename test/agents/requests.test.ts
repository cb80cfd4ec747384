import { expect, test } from 'vitest';
import { buildRequest } from '../../agents/build-request.ts';
import { fairLength, shorten } from '../../agents/shorten.ts';
import { called, readTool, transcriptOf, treeOf } from './transcripts.ts';

const native = { alias: 'good', decoding: 'native' as const, contextTokens: 4096, maxOutputTokens: 1024, temperature: 0.2 };
const sizeOf = (request: unknown): number => JSON.stringify(request).length;

test('gives a native model its tools, its results and the schema of the answer', () => {
  const transcript = transcriptOf({ model: native }, called('directory_tree', { path: '/input' }, '[]'));
  const request = buildRequest(transcript);
  expect(request).toMatchObject({ model: 'good', max_tokens: 1024, temperature: 0.2, stream: false });
  expect(request?.tools?.map((tool) => tool.function.name)).toEqual(['directory_tree']);
  expect(request?.response_format).toBeUndefined();
  expect(request?.messages.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'tool']);
  const [system, , assistant, result] = request?.messages ?? [];
  expect(system?.content).toContain('Before that, call directory_tree.');
  expect(system?.content).not.toContain('x-from');
  expect(assistant).toMatchObject({ tool_calls: [{ id: 'call_1_1', function: { name: 'directory_tree' } }] });
  expect(result).toEqual({ role: 'tool', tool_call_id: 'call_1_1', content: '[]' });
});

test('holds a native model without tools to the schema of the answer', () => {
  const request = buildRequest(transcriptOf({ model: native, tools: [], requiredCalls: [] }));
  expect(request?.tools).toBeUndefined();
  expect(request?.response_format?.json_schema.schema).toMatchObject({ properties: { files: { items: { type: 'string' } } } });
  expect(JSON.stringify(request?.response_format)).not.toContain('x-from');
});

test('shortens results to fit the context, in the prompt alone', () => {
  const long = 'word '.repeat(20_000);
  const transcript = transcriptOf({ model: native, tools: [readTool], requiredCalls: [] }, [
    ...called('read_text_file', { path: '/a' }, long),
    ...called('read_text_file', { path: '/b' }, 'short'),
  ]);
  const request = buildRequest(transcript);
  expect(sizeOf(request?.messages)).toBeLessThan((4096 - 1024) * 3);
  expect(JSON.stringify(request?.messages)).toContain('characters left out');
  expect(request?.messages.at(-1)?.content).toBe('short');
  expect(transcript.entries[1]).toMatchObject({ text: long });
});

test('gives a model with a grammar one schema for its step, no tools and a short prompt', () => {
  const transcript = transcriptOf({}, called('directory_tree', { path: '/input' }, treeOf(500)));
  const request = buildRequest(transcript);
  expect(request?.tools).toBeUndefined();
  expect(request?.response_format?.json_schema.name).toBe('step');
  expect(sizeOf(request?.messages)).toBeLessThan(1000 * 3 + 500);
  expect(request?.messages.at(-2)?.content).toContain('Result of directory_tree:\n/input/folder-0/file-0-0.ts\n');
  expect(request?.messages.at(-1)).toEqual({ role: 'user', content: 'Now answer with files. Write JSON.' });
});

test('shows a long text of the input to such a model by its handle and its beginning', () => {
  const request = buildRequest(transcriptOf({ input: { root: '/input', draft: `# Begin\n${'x'.repeat(9000)}` } }));
  const task = request?.messages[1]?.content ?? '';
  expect(task).toContain('$draft (9008 characters): # Begin');
  expect(task.length).toBeLessThan(400);
});

test('tells the model what was wrong with its last answer', () => {
  const transcript = transcriptOf({}, [
    { kind: 'answer', text: 'Sure, here is', calls: [] },
    { kind: 'repair', message: 'The reply is no JSON.' },
  ]);
  expect(buildRequest(transcript)?.messages.slice(-3)).toEqual([
    { role: 'assistant', content: 'Sure, here is' },
    { role: 'user', content: 'The reply is no JSON.' },
    { role: 'user', content: 'Now call directory_tree. Write JSON.' },
  ]);
});

test('cuts the longest texts first and keeps both ends', () => {
  expect(fairLength([10, 20, 1000, 2000], 630, 50)).toBe(300);
  expect(fairLength([10, 20], 100, 50)).toBe(50);
  expect(fairLength([500, 500], -1, 50)).toBe(50);
  expect(shorten('abc', 3)).toBe('abc');
  const cut = shorten(`${'a'.repeat(100)}${'z'.repeat(100)}`, 50);
  expect(cut.startsWith('aaaa')).toBe(true);
  expect(cut.endsWith('zzzz')).toBe(true);
  expect(cut).toContain('150 characters left out');
});
