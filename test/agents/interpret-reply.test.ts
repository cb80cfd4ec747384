import { expect, test } from 'vitest';
import type { ModelReply } from '../../agents/chat-request.ts';
import { interpretReply } from '../../agents/interpret-reply.ts';
import { acceptAll, called, readTool, transcriptOf, treeTool, writeTool } from './transcripts.ts';

const said = (text: string, finishReason = 'stop'): ModelReply => ({ text, toolCalls: [], finishReason });
const asked = (...toolCalls: ModelReply['toolCalls']): ModelReply => ({ text: '', toolCalls, finishReason: 'tool_calls' });
const native = { alias: 'm', decoding: 'native' as const, contextTokens: 4096, maxOutputTokens: 512 };
const listed = called('directory_tree', { path: '/input' }, '/input/a.ts\n/input/b.ts');

test('reads the calls of a native model', () => {
  const transcript = transcriptOf({ model: native, tools: [treeTool, readTool], requiredCalls: [] });
  const reply = asked({ name: 'read_text_file', arguments: '{"path":"/input/a.ts"}' }, { name: 'directory_tree', arguments: '' });
  expect(interpretReply(transcript, reply, acceptAll)).toEqual({
    kind: 'calls',
    calls: [
      { tool: 'read_text_file', arguments: { path: '/input/a.ts' } },
      { tool: 'directory_tree', arguments: {} },
    ],
  });
});

test.each([
  ['an unknown tool', asked({ name: 'rm', arguments: '{}' }), 'There is no tool of that name now; there is directory_tree.'],
  ['arguments that are no object', asked({ name: 'directory_tree', arguments: '{"path":' }), 'not a JSON object'],
  ['prose', said('I think the files are fine.'), 'no JSON'],
  ['cut JSON', said('{"files":["/input/a', 'length'), 'cut off'],
  ['an empty reply', said(''), 'no JSON'],
  ['an answer before the required call', said('{"files":[]}'), 'too early'],
])('sends back %s of a native model', (_what, reply, problem) => {
  expect(interpretReply(transcriptOf({ model: native }), reply, acceptAll)).toEqual({
    kind: 'unusable',
    problem: expect.stringContaining(problem),
  });
});

test('takes a final answer, also in a fence', () => {
  const transcript = transcriptOf({ model: native }, listed);
  const answer = { kind: 'answer', value: { files: ['/input/a.ts'] } };
  expect(interpretReply(transcript, said('{"files":["/input/a.ts"]}'), acceptAll)).toEqual(answer);
  expect(interpretReply(transcript, said('```json\n{"files":["/input/a.ts"]}\n```'), acceptAll)).toEqual(answer);
});

test('does not take a path that was never seen', () => {
  const reply = said('{"files":["/input/a.ts","/input/invented.ts"]}');
  expect(interpretReply(transcriptOf({ model: native }, listed), reply, acceptAll)).toEqual({
    kind: 'unusable',
    problem: 'The final answer names what was never seen, at /files/1.',
  });
});

test('passes on what the schemas say', () => {
  const validators = { answer: () => ['/files must be array'], arguments: () => ['/path must be string'] };
  const answer = interpretReply(transcriptOf({ model: native }, listed), said('{}'), validators);
  expect(answer).toMatchObject({ problem: 'The final answer does not fit its schema: /files must be array.' });
  const call = interpretReply(transcriptOf({ model: native }), asked({ name: 'directory_tree', arguments: '{"path":1}' }), validators);
  expect(call).toMatchObject({ problem: 'The arguments of directory_tree do not fit its schema: /path must be string.' });
});

test('puts long texts in the place of their handles', () => {
  const draft = `# Draft\n${'y'.repeat(500)}`;
  const transcript = transcriptOf({ input: { path: '/output/s.md', draft }, tools: [writeTool], requiredCalls: ['write_file'] });
  const reply = said('{"tool":"write_file","arguments":{"path":"/output/s.md","content":"$draft"}}');
  expect(interpretReply(transcript, reply, acceptAll)).toEqual({
    kind: 'calls',
    calls: [{ tool: 'write_file', arguments: { path: '/output/s.md', content: draft } }],
  });
});

test('holds a model with a grammar to the step that is next', () => {
  expect(interpretReply(transcriptOf(), said('{"answer":{"files":[]}}'), acceptAll)).toMatchObject({ kind: 'unusable' });
  expect(interpretReply(transcriptOf({}, listed), said('{"answer":{"files":[]}}'), acceptAll)).toMatchObject({ kind: 'answer' });
  const again = said('{"tool":"directory_tree","arguments":{"path":"/input"}}');
  expect(interpretReply(transcriptOf({}, listed), again, acceptAll)).toMatchObject({
    problem: expect.stringContaining('no tool to call now'),
  });
  expect(interpretReply(transcriptOf(), said('{"path":"/input"}'), acceptAll)).toMatchObject({ kind: 'unusable' });
});

test('does not take more calls at once than anybody means', () => {
  const reply = asked(...Array.from({ length: 17 }, () => ({ name: 'directory_tree', arguments: '{}' })));
  expect(interpretReply(transcriptOf({ model: native }), reply, acceptAll)).toMatchObject({ problem: 'Ask for at most 16 calls at once.' });
});
