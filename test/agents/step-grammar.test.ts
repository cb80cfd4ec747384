import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stepGrammar } from '../../agents/allowed-step.ts';
import { split, spread } from '../../agents/candidates.ts';
import type { JsonObject } from '../../agents/json.ts';
import { schemaToGrammar } from '../../runtime/local-model/schema-to-grammar.ts';
import { called, readTool, transcriptOf, treeOf, treeTool, writeTool } from './transcripts.ts';

const draft = `# A draft\n${'text '.repeat(60)}`;
const answerOf = (grammar: unknown): JsonObject => (grammar as { properties: { answer: JsonObject } }).properties.answer;

test('allows exactly the next required call, with arguments that were seen', () => {
  expect(stepGrammar(transcriptOf())).toEqual({
    type: 'object',
    properties: {
      tool: { const: 'directory_tree' },
      arguments: { type: 'object', properties: { path: { enum: ['/input'] } }, required: ['path'], additionalProperties: false },
    },
    required: ['tool', 'arguments'],
    additionalProperties: false,
  });
});

test('offers a long text by its handle and a path only where a path is meant', () => {
  const transcript = transcriptOf({ input: { path: '/output/survey.md', draft }, tools: [writeTool], requiredCalls: ['write_file'] });
  expect(stepGrammar(transcript)).toMatchObject({
    properties: { arguments: { properties: { path: { enum: ['/output/survey.md'] }, content: { enum: ['$draft'] } } } },
  });
});

test('asks for the same call again after it failed, and for the answer alone once it succeeded', () => {
  const failed = transcriptOf({}, called('directory_tree', { path: '/input' }, 'no such folder', 'failed'));
  expect(stepGrammar(failed)).toMatchObject({ properties: { tool: { const: 'directory_tree' } } });
  const done = transcriptOf({}, called('directory_tree', { path: '/input' }, treeOf(3)));
  expect(Object.keys(stepGrammar(done)?.properties as object)).toEqual(['answer']);
});

test('lets a role without required calls call or answer at any step', () => {
  const grammar = stepGrammar(transcriptOf({ tools: [treeTool, readTool], requiredCalls: [] }));
  expect(grammar?.oneOf).toHaveLength(3);
});

test('allows nothing where a required call needs a path and none was seen', () => {
  expect(stepGrammar(transcriptOf({ input: { note: 'hello' } }))).toBeUndefined();
});

test('fills a list of distinct paths with groups that do not meet', () => {
  const transcript = transcriptOf({}, called('directory_tree', { path: '/input' }, treeOf(300)));
  const files = (answerOf(stepGrammar(transcript)).properties as { files: JsonObject }).files;
  expect(files).toMatchObject({ type: 'array', items: false, minItems: 12, maxItems: 12 });
  const groups = (files.prefixItems as { enum: string[] }[]).map((item) => item.enum);
  expect(groups).toHaveLength(12);
  expect(groups.every((group) => group.length > 0)).toBe(true);
  const all = groups.flat();
  expect(all).toHaveLength(256);
  expect(new Set(all).size).toBe(256);
});

test('holds an empty folder to an empty list', () => {
  const input = { note: 'nothing here' };
  const transcript = transcriptOf({ input, tools: [], requiredCalls: [] });
  expect(answerOf(stepGrammar(transcript))).toMatchObject({ properties: { files: { const: [] } } });
});

test('holds a path to the input where the role says so, whatever a file names', () => {
  const output: JsonObject = {
    type: 'object',
    properties: { path: { type: 'string', 'x-from': 'input' }, purpose: { type: 'string', maxLength: 1000, pattern: '^x' } },
    required: ['path', 'purpose'],
  };
  const transcript = transcriptOf(
    { input: { path: '/input/a.ts' }, tools: [readTool], requiredCalls: ['read_text_file'], output },
    called('read_text_file', { path: '/input/a.ts' }, '/etc/passwd\n/usr/bin/env'),
  );
  expect(answerOf(stepGrammar(transcript))).toEqual({
    type: 'object',
    properties: { path: { enum: ['/input/a.ts'] }, purpose: { type: 'string', maxLength: 300 } },
    required: ['path', 'purpose'],
    additionalProperties: false,
  });
});

test('shortens the free texts of an answer so that all of them fit into it', () => {
  const output: JsonObject = {
    type: 'object',
    properties: { todos: { type: 'array', items: { type: 'string' }, maxItems: 8 } },
    required: ['todos'],
  };
  const model = { alias: 'm', decoding: 'constrained' as const, contextTokens: 2048, maxOutputTokens: 400 };
  const grammar = answerOf(stepGrammar(transcriptOf({ output, tools: [], requiredCalls: [], model })));
  expect(grammar).toMatchObject({ properties: { todos: { items: { type: 'string', maxLength: 100 }, maxItems: 8 } } });
});

test('makes steps that the local model has a grammar for', () => {
  const listed = called('directory_tree', { path: '/input' }, treeOf(300));
  for (const transcript of [
    transcriptOf(),
    transcriptOf({}, listed),
    transcriptOf({ requiredCalls: [] }, listed),
    transcriptOf({ tools: [], requiredCalls: [], input: {} }),
  ])
    expect(schemaToGrammar(stepGrammar(transcript))).toContain('root ::=');
});

test('spreads and splits lists evenly, without loss and without repetition', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 700 }), fc.integer({ min: 1, max: 300 }), (length, most) => {
      const list = Array.from({ length }, (_, index) => index);
      const taken = spread(list, most);
      expect(taken).toHaveLength(Math.min(length, most));
      expect(new Set(taken).size).toBe(taken.length);
      const groups = split(list, Math.max(1, Math.min(most, length)));
      expect(groups.flat()).toEqual(list);
      if (length > 0) expect(groups.every((group) => group.length > 0)).toBe(true);
    }),
  );
});
