import { expect, test } from 'vitest';
import { judgeRun, stageValues } from '../../agents/judge-run.ts';
import { lookUp, type RenderTemplate, resolveStage, type StageContext } from '../../agents/resolve-stage.ts';
import { StageSchema } from '../../schema/resources/fleet.ts';

const context: StageContext = {
  inputs: { topic: 'ships' },
  run: { id: 'run_1', fleet: 'survey', quality: 'tiny' },
  stages: { scout: { outputs: [{ files: ['a', 'b', 'a'] }], output: { files: ['a', 'b', 'a'] }, unfinished: [] } },
};
const render: RenderTemplate = (template, { item }) => ({ ok: true, value: `${template}${item ?? ''}` });
const stage = (spec: object) => StageSchema.parse({ name: 'read', role: 'reader', ...spec });

test('follows dotted paths through objects and lists, and nothing inherited', () => {
  expect(lookUp('stages.scout.output.files.1', context)).toBe('b');
  expect(lookUp('run.quality', context)).toBe('tiny');
  expect(lookUp('stages.scout.output.files.9', context)).toBeUndefined();
  expect(lookUp('inputs.constructor', context)).toBeUndefined();
});

test('makes one task without forEach, with expressions anywhere in the input', () => {
  const input = { topic: { from: 'inputs.topic' }, nested: [{ deep: { template: 'hi' } }], literal: { from: 'x', also: 1 } };
  expect(resolveStage(stage({ input }), context, render)).toEqual({
    ok: true,
    value: [{ item: undefined, input: { topic: 'ships', nested: [{ deep: 'hi' }], literal: { from: 'x', also: 1 } } }],
  });
});

test('makes one task for each distinct element', () => {
  const spec = { forEach: 'stages.scout.output.files', input: { path: { from: 'item' }, note: { template: 'read ' } } };
  const resolved = resolveStage(stage(spec), context, render);
  expect(resolved.ok && resolved.value.map(({ input }) => input)).toEqual([
    { path: 'a', note: 'read a' },
    { path: 'b', note: 'read b' },
  ]);
});

test('makes no task for an empty list', () => {
  expect(resolveStage(stage({ forEach: 'stages.scout.unfinished' }), context, render)).toEqual({ ok: true, value: [] });
});

test('says which name has no value, and which is no list', () => {
  expect(resolveStage(stage({ forEach: 'stages.read.output.files' }), context, render)).toEqual({
    ok: false,
    problem: '`stages.read.output.files` has no value',
  });
  expect(resolveStage(stage({ forEach: 'inputs.topic' }), context, render)).toEqual({ ok: false, problem: '`inputs.topic` is no list' });
});

const done = { state: 'done', reason: null } as const;
const parked = { state: 'parked', reason: 'limit_tokens' } as const;
const facts = { agents: [done, done], problem: undefined, missingFile: undefined };

test('judges a run by its agents, its stages and its result', () => {
  expect(judgeRun(facts)).toEqual({ state: 'succeeded', reason: null });
  expect(judgeRun({ ...facts, agents: [done, parked] })).toEqual({ state: 'partial', reason: '1 of 2 agents is parked (limit_tokens)' });
  expect(judgeRun({ ...facts, agents: [parked], problem: 'stage read: no value' })).toEqual({
    state: 'partial',
    reason: '1 of 1 agents is parked (limit_tokens); stage read: no value',
  });
  expect(judgeRun({ ...facts, problem: 'stage read: no value' })).toEqual({ state: 'failed', reason: 'stage read: no value' });
  expect(judgeRun({ ...facts, missingFile: 'survey.md' })).toMatchObject({ state: 'failed', reason: expect.stringContaining('survey.md') });
  expect(judgeRun({ ...facts, agents: [{ state: 'failed', reason: null }] })).toMatchObject({ state: 'failed' });
  expect(judgeRun({ ...facts, agents: [done, { state: 'failed', reason: null }] })).toMatchObject({ state: 'partial' });
});

test('gives later stages the answers that are there', () => {
  const members = [
    { state: 'done', output: 1, item: 'a' },
    { state: 'parked', output: undefined, item: 'b' },
  ] as const;
  expect(stageValues(members)).toEqual({ outputs: [1], unfinished: ['b'] });
  expect(stageValues([{ state: 'done', output: { x: 1 }, item: undefined }])).toEqual({
    outputs: [{ x: 1 }],
    output: { x: 1 },
    unfinished: [],
  });
  expect(stageValues([])).toEqual({ outputs: [], unfinished: [] });
});
