import { expect, test } from 'vitest';
import { validatorsFor } from '../../activities/validators.ts';
import type { TranscriptHead } from '../../agents/conversation.ts';
import type { JsonObject } from '../../agents/json.ts';

const judging = (schema: JsonObject) => {
  const tools = [{ name: 'look', description: '', inputSchema: schema }];
  return validatorsFor({ output: schema, tools } as unknown as TranscriptHead);
};
/** Thirty definitions of which each refers to the next one twice: a billion looks at one value. */
const doubling: JsonObject = {
  type: 'object',
  properties: { text: { $ref: '#/$defs/d0' } },
  $defs: Object.fromEntries(
    Array.from({ length: 31 }, (_, index): [string, JsonObject] => {
      const next = { $ref: `#/$defs/d${index + 1}` };
      return [`d${index}`, index === 30 ? { type: 'number' } : { anyOf: [next, next] }];
    }),
  ),
};
const endless: [string, JsonObject][] = [
  ['a pattern', { type: 'object', properties: { text: { type: 'string', pattern: '^(a|aa)+$' } } }],
  ['names', { type: 'object', patternProperties: { '^(a+)+$': { type: 'string' } } }],
  ['definitions that double', doubling],
];
const text = `${'a'.repeat(80)}!`;

test('an answer and arguments are judged by their schemas, patterns included', () => {
  const { answer, arguments: given } = judging({ type: 'object', properties: { text: { type: 'string', pattern: '^a+$' } } });
  expect(answer({ text: 'aaa' })).toEqual([]);
  expect(answer({ text: 'b' })).toEqual(['/text must match pattern "^a+$"']);
  expect(given('look', { text: 'b' })).toEqual(['/text must match pattern "^a+$"']);
});

// without an end of its time this test never ends, and neither would the worker
test.each(endless)('%s that an answer was made for holds a worker up for a moment alone, and the answer is not taken', (_what, schema) => {
  const { answer, arguments: given } = judging(schema);
  expect(answer({ text, [text]: '' })).toEqual([expect.stringContaining('takes longer than 300 ms to judge')]);
  // the server judges its arguments itself
  expect(given('look', { text, [text]: '' })).toEqual([]);
  expect(answer({})).toEqual([]);
});
