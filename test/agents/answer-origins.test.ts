import { expect, test } from 'vitest';
import { answerGrammar } from '../../agents/answer-grammar.ts';
import { inventedValues } from '../../agents/check-origins.ts';
import type { JsonObject } from '../../agents/json.ts';

const values = (paths: string[]) => ({ paths, texts: [], numbers: [] });
const origins = { input: values(['/input']), seen: values(['/input', '/input/a.ts', '/input/b.ts']) };
const schema: JsonObject = {
  type: 'object',
  properties: { files: { type: 'array', items: { type: 'string', 'x-from': 'results' }, uniqueItems: true, maxItems: 12 } },
  required: ['files'],
};

test('a list from results offers what was found, and not what was given', () => {
  const text = JSON.stringify(answerGrammar(schema, origins, 300));
  expect(text).toContain('/input/a.ts');
  expect(text).toContain('/input/b.ts');
  expect(text).not.toContain('"/input"');
});

test('an answer from results may name what was found, and neither what was given nor what was invented', () => {
  expect(inventedValues(schema, { files: ['/input/a.ts'] }, origins)).toEqual([]);
  expect(inventedValues(schema, { files: ['/input', '/input/c.ts'] }, origins)).toEqual(['/files/0', '/files/1']);
});
