import { expect, test } from 'vitest';
import { nextRequiredCall, pendingCalls, repairsInRow, resultsInRow, type TranscriptEntry } from '../../agents/conversation.ts';
import { attemptOf, modelOperationId, toolOperationId } from '../../agents/operation-ids.ts';
import { called, transcriptOf } from './transcripts.ts';

const id = 'default/default/survey/run_1/scout/scout/0';
const unusable: TranscriptEntry[] = [
  { kind: 'answer', text: 'hm', calls: [] },
  { kind: 'repair', message: 'no JSON' },
];
const two: TranscriptEntry = {
  kind: 'answer',
  text: '',
  calls: [
    { tool: 'a', arguments: {} },
    { tool: 'b', arguments: {} },
  ],
};
const result = (outcome: 'ok' | 'failed' | 'refused'): TranscriptEntry => ({ kind: 'result', outcome, text: '' });

test('gives each call an operation id that follows from the transcript alone', () => {
  const opened = transcriptOf();
  expect(modelOperationId(id, opened)).toBe(`${id}/step-1/model`);
  expect(modelOperationId(id, transcriptOf({}, unusable))).toBe(`${id}/step-1/model-repair-1`);
  expect(modelOperationId(id, transcriptOf({}, [...unusable, ...unusable]))).toBe(`${id}/step-1/model-repair-2`);
  const asked = transcriptOf({}, [...unusable, two]);
  expect(toolOperationId(id, asked, 0)).toBe(`${id}/step-1/call-0`);
  expect(toolOperationId(id, asked, 1)).toBe(`${id}/step-1/call-1`);
  expect(modelOperationId(id, transcriptOf({}, [...unusable, two, result('ok'), result('ok')]))).toBe(`${id}/step-2/model`);
});

test('gives a resumed agent other operation ids and a fresh count of repairs', () => {
  const resumed = transcriptOf({}, [...unusable, ...unusable, ...unusable, { kind: 'resumed', attempt: 2 }]);
  expect(attemptOf(resumed)).toBe(2);
  expect(modelOperationId(id, resumed)).toBe(`${id}/attempt-2/step-1/model`);
  expect(repairsInRow(resumed)).toBe(0);
  expect(modelOperationId(id, transcriptOf({ attempt: 3 }))).toBe(`${id}/attempt-3/step-1/model`);
});

test('knows which calls still have no result', () => {
  expect(pendingCalls(transcriptOf())).toEqual([]);
  expect(pendingCalls(transcriptOf({}, [two])).map(({ index }) => index)).toEqual([0, 1]);
  expect(pendingCalls(transcriptOf({}, [two, result('ok'), { kind: 'resumed', attempt: 2 }])).map(({ call }) => call.tool)).toEqual(['b']);
  expect(pendingCalls(transcriptOf({}, [two, result('ok'), result('failed')]))).toEqual([]);
});

test('counts refusals and failures in a row', () => {
  const entries = [two, result('ok'), result('refused'), two, result('refused'), result('failed')];
  expect(resultsInRow(transcriptOf({}, entries), ['refused'])).toBe(0);
  expect(resultsInRow(transcriptOf({}, entries), ['refused', 'failed'])).toBe(3);
  expect(resultsInRow(transcriptOf({}, [...entries, { kind: 'resumed', attempt: 2 }]), ['refused', 'failed'])).toBe(0);
});

test('asks for required calls in their order, until each has succeeded', () => {
  const head = { requiredCalls: ['a', 'b'] };
  expect(nextRequiredCall(transcriptOf(head))).toBe('a');
  expect(nextRequiredCall(transcriptOf(head, called('a', {}, '', 'refused')))).toBe('a');
  expect(nextRequiredCall(transcriptOf(head, called('a', {}, '')))).toBe('b');
  expect(nextRequiredCall(transcriptOf(head, [...called('a', {}, ''), ...called('b', {}, '')]))).toBeUndefined();
});
