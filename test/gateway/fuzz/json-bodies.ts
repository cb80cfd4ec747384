import fc from 'fast-check';
import type { FuzzTarget } from './fuzz-target.ts';
import { mutated } from './mutate-text.ts';

const meta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'fuzz', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': { elicitation: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } },
};
const initialize = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'fuzz', version: '1' } };

/** What a client might say, method by method; parameters that are wrong for the method come from the changes. */
const calls = ({ tool }: FuzzTarget): [method: string, params: object][] => [
  ['initialize', initialize],
  ['notifications/initialized', {}],
  ['notifications/cancelled', { requestId: 1 }],
  ['notifications/roots/list_changed', {}],
  ['ping', {}],
  ['server/discover', {}],
  ['tools/list', {}],
  ['tools/list', { cursor: 'x' }],
  ['tools/call', { name: tool, arguments: { text: 'x' } }],
  ['tools/call', { name: 'nothing', arguments: {} }],
  ['tools/call', { name: tool, arguments: {}, requestState: 'x', inputResponses: { a: { action: 'accept' } } }],
  ['prompts/list', {}],
  ['prompts/get', { name: 'x', arguments: { a: 'b' } }],
  ['resources/list', {}],
  ['resources/templates/list', {}],
  ['resources/read', { uri: 'test://x' }],
  ['resources/subscribe', { uri: 'test://x' }],
  ['resources/unsubscribe', { uri: 'test://x' }],
  ['completion/complete', { ref: { type: 'ref/prompt', name: 'x' }, argument: { name: 'a', value: 'b' } }],
  ['logging/setLevel', { level: 'debug' }],
  ['subscriptions/listen', { notifications: { toolsListChanged: true, resourceSubscriptions: ['test://x'] } }],
  ['tasks/get', { taskId: 'x' }],
  ['tasks/update', { taskId: 'x', inputResponses: {} }],
  ['tasks/cancel', { taskId: 'x' }],
];

/** What some code takes for a text or a number, and is neither. */
const odd = (): fc.Arbitrary<fc.JsonValue> =>
  fc.constantFrom<fc.JsonValue>({ toString: 1 }, [{ valueOf: null, toString: '' }], { length: 1 });
const json = (): fc.Arbitrary<fc.JsonValue> =>
  fc.oneof({ weight: 5, arbitrary: fc.jsonValue({ maxDepth: 4, depthSize: 'small' }) }, { weight: 1, arbitrary: odd() });
const id = (): fc.Arbitrary<unknown> => fc.oneof({ weight: 6, arbitrary: fc.integer() }, fc.string({ maxLength: 8 }), json());

/** Puts random JSON in the place of one value, somewhere in a tree. */
const replaceSomewhere = (value: unknown, path: readonly number[], by: unknown): unknown => {
  const [step, ...rest] = path;
  if (step === undefined || typeof value !== 'object' || value === null) return by;
  const keys = Object.keys(value);
  const key = keys[step % Math.max(1, keys.length)];
  if (key === undefined) return by;
  const inner = replaceSomewhere((value as Record<string, unknown>)[key], rest, by);
  return Array.isArray(value) ? Object.assign([...value], { [key]: inner }) : { ...value, [key]: inner };
};

export type Spoken = { method: string; name: string | undefined; isModern: boolean; body: unknown };

/** One message: as a client would send it, or with something else in one place. */
export const spokenMessage = (target: FuzzTarget): fc.Arbitrary<Spoken> =>
  fc
    .record({
      call: fc.constantFrom(...calls(target)),
      isModern: fc.boolean(),
      id: fc.option(id(), { nil: undefined, freq: 8 }),
      change: fc.option(fc.tuple(fc.array(fc.nat(9), { maxLength: 5 }), json()), { nil: undefined, freq: 2 }),
    })
    .map(({ call: [method, params], isModern, id, change }) => {
      const message = { jsonrpc: '2.0', id, method, params: isModern ? { ...params, _meta: meta } : params };
      const { name, uri, taskId } = params as Record<string, string | undefined>;
      const body = change ? replaceSomewhere(message, change[0], change[1]) : message;
      return { method, name: name ?? uri ?? taskId, isModern, body };
    });

/** The text of a body: a message, several of them, any JSON, or bytes; often with changes in the text itself. */
export const bodyText = (target: FuzzTarget, spoken: unknown): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(JSON.stringify(spoken) ?? '') },
    { weight: 4, arbitrary: mutated(fc.constant(JSON.stringify(spoken) ?? '')) },
    {
      weight: 2,
      arbitrary: fc.array(spokenMessage(target), { maxLength: 3 }).map((batch) => JSON.stringify(batch.map(({ body }) => body))),
    },
    { weight: 1, arbitrary: fc.json() },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 3000 }).map((levels) => '{"a":['.repeat(levels)) },
  );
