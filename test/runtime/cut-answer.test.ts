import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutAnswer } from '../../runtime/stdio/cut-answer.ts';

describe('an answer whose id is replaced as text', () => {
  test('is what reading and writing it would give, in both spellings', () => {
    fc.assert(
      fc.property(fc.nat(), fc.jsonValue(), fc.oneof(fc.nat(), fc.string()), (id, result, callerId) => {
        for (const message of [
          { jsonrpc: '2.0', id, result },
          { result, jsonrpc: '2.0', id },
        ]) {
          const cut = cutAnswer(JSON.stringify(message));
          if (cut === undefined) continue;
          expect(cut.id).toBe(id);
          expect(JSON.parse(cut.under(callerId))).toEqual({ ...JSON.parse(JSON.stringify(message)), id: callerId });
        }
      }),
    );
  });

  test('is found in what the SDKs write', () => {
    expect(cutAnswer('{"result":{"content":[]},"jsonrpc":"2.0","id":12}')?.under('a"b')).toBe(
      '{"result":{"content":[]},"jsonrpc":"2.0","id":"a\\"b"}',
    );
    expect(cutAnswer('{"jsonrpc":"2.0","id":12,"result":{}}')?.under(3)).toBe('{"jsonrpc":"2.0","id":3,"result":{}}');
  });

  test.each([
    ['a request that also has a result', '{"jsonrpc":"2.0","id":1,"result":{},"method":"elicitation/create"}'],
    ['one that spells its method by escapes', '{"jsonrpc":"2.0","id":1,"result":{},"\\u006dethod":"elicitation/create"}'],
    ['one at the other end', '{"result":{},"method":"x","jsonrpc":"2.0","id":1}'],
    ['an error', '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}'],
    ['a text id', '{"jsonrpc":"2.0","id":"1","result":{}}'],
    ['a carriage return, which would end an event line', '{"jsonrpc":"2.0","id":1,"result":{\r}}'],
    ['another spelling', '{ "jsonrpc": "2.0", "id": 1, "result": {} }'],
    ['a cut one', '{"jsonrpc":"2.0","id":1,"result":{"a":1'],
  ])('is not found in %s', (_what, line) => {
    expect(cutAnswer(line)).toBeUndefined();
  });
});
