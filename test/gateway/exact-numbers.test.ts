import { expect, test } from 'vitest';
import { checkMessage } from '../../gateway/edge/check-message.ts';
import { readJson } from '../../gateway/edge/read-json.ts';
import { isObject } from '../../gateway/mcp/message.ts';
import { faultIn } from '../../gateway/tool-call/fault-in.ts';
import { replyOf } from '../../gateway/upstream/flight.ts';
import { parseExactly } from '../../schema/exact-json.ts';
import { canonicalJson } from '../../store/resources.ts';

const long = '9007199254740993';

test('a number that is kept as it was written is no object to a schema', () => {
  const schema = { type: 'object', properties: { options: { type: 'object' }, count: { type: 'integer', maximum: 1e17 } } };
  const fault = (text: string) => faultIn(parseExactly(text), schema, `hash of ${text}`, 'arguments');
  expect(fault(`{"options":${long}}`)).toBe('`arguments.options` must be object');
  expect(fault(`{"count":${long},"options":{"n":${long}}}`)).toBeUndefined();
  expect(fault('{"count":1e999}')).toContain('`arguments.count` must be');
  expect(faultIn(parseExactly(long), { type: 'object' }, 'hash', 'arguments')).toBe('`arguments` must be object');
});

test('a number that is kept as it was written stands for no parameters, and is no result', () => {
  expect(isObject(parseExactly(long))).toBe(false);
  const json = readJson(Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${long}}`));
  expect(checkMessage(json.ok && json.value)).toEqual({ kind: 'invalid', id: 1, reason: '`params` is not an object' });
  expect(replyOf(parseExactly(`{"jsonrpc":"2.0","id":1,"result":${long}}`) as never)).toBeUndefined();
});

test('a number that is kept as it was written has a digest of its own', () => {
  expect(canonicalJson(parseExactly(`{"b":1,"a":[${long}]}`))).toBe(`{"a":[${long}],"b":1}`);
  expect(canonicalJson(parseExactly(long))).not.toBe(canonicalJson({ rawJSON: long }));
});
