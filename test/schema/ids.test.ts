import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agentIdOf, parseAgentId, RunIdSchema, runIdFrom } from '../../schema/ids.ts';

test('ten random bytes are a run id, and different bytes are different ids', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 10, maxLength: 10 }), fc.uint8Array({ minLength: 10, maxLength: 10 }), (a, b) => {
      const [first, second] = [runIdFrom(a), runIdFrom(b)];
      return RunIdSchema.safeParse(first).success && (first === second) === (Buffer.compare(a, b) === 0);
    }),
  );
});

test('an agent id reads back as what it was made of, and nothing else reads as one', () => {
  const address = {
    org: 'default',
    project: 'default',
    fleet: 'survey',
    runId: 'run_0123456789abcdef',
    stage: 'read',
    role: 'reader',
    ordinal: 7,
  };
  expect(parseAgentId(agentIdOf(address))).toEqual(address);
  for (const other of ['', 'a/b', `${agentIdOf(address)}/x`, agentIdOf(address).replace(/7$/, 'seven')])
    expect(parseAgentId(other)).toBeUndefined();
});
