import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkProjectPolicies } from '../../policy/assemble-policies.ts';
import { agentEntities } from '../../policy/caller-entities.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { entityUid, modelEntity, projectEntities } from '../../policy/entities.ts';
import type { KnownRequest } from '../../policy/known.ts';
import { suggestGrants } from '../../policy/suggest-policies.ts';
import { resourceEntities, toolEntities } from '../../policy/toolset-entities.ts';

const tenancy = { org: 'default', project: 'default' };
const role = entityUid('AgentRole', 'default/default/reader');
const surroundings = {
  uid: entityUid('Project', 'default/default'),
  entities: projectEntities({ ...tenancy, environment: 'development', frozen: false }),
};
const agent = (agentId: string, assignedPaths: string[] = []) => ({
  uid: entityUid('Agent', agentId),
  entities: agentEntities({ ...tenancy, agentId, fleet: 'survey', role: 'reader', owner: 'ada', quarantined: false, assignedPaths }),
});
const tool = (name: string, toolset = 'read') => ({
  uid: entityUid('Tool', `default/default/files/${name}`),
  entities: toolEntities({
    ...tenancy,
    server: 'files',
    tool: name,
    toolset,
    isolation: 1,
    readOnly: true,
    destructive: false,
    idempotent: true,
    openWorld: false,
    approvedHash: 'h',
    currentHash: 'h',
  }),
});
const noFacts = { paths: [] as string[], roots: [] as string[], urls: [] as string[], hosts: [] as string[], canonical: true, bytes: 2 };
const who = { hasHuman: true, run: 'run_1' };
const call = (name: string, facts: Partial<typeof noFacts> = {}, more: Partial<KnownRequest> = {}): KnownRequest => ({
  principal: agent('agent-1'),
  action: 'callTool',
  resource: tool(name),
  surroundings,
  context: { who, arguments: { ...noFacts, ...facts } },
  ...more,
});
const suggestFor = (...calls: KnownRequest[]) =>
  suggestGrants(
    role,
    calls.map((asked) => ({ asked, at: '2026-11-29T10:00:00Z' })),
  );
const policiesFrom = (...calls: KnownRequest[]) => ({
  policySets: [
    {
      name: 'least',
      cedar: suggestFor(...calls)
        .map(({ cedar }) => cedar)
        .join('\n\n'),
    },
  ],
  bindings: [],
});
const decideWith = (calls: KnownRequest[]) => {
  const engine = createPolicyEngine();
  expect(engine.load(tenancy, policiesFrom(...calls))).toEqual({ ok: true });
  return (asked: KnownRequest) => engine.decideKnown(tenancy, asked).effect;
};

describe('the least privilege that calls needed', () => {
  test('is a permit to list and one to call, for the tool, behind the toolset, in the shape of its arguments', () => {
    const [grant] = suggestFor(call('read_file', { paths: ['/input/a'], roots: ['input'], bytes: 30 }));
    expect(grant?.cedar).toBe(`// needed by 1 call, the last on 2026-11-29
@id("listTool files/read_file")
permit (
  principal is Quarterdeck::Agent in Quarterdeck::AgentRole::"default/default/reader",
  action == Quarterdeck::Action::"listTool",
  resource == Quarterdeck::Tool::"default/default/files/read_file"
) when {
  resource in Quarterdeck::Toolset::"default/default/read"
};
@id("callTool files/read_file")
permit (
  principal is Quarterdeck::Agent in Quarterdeck::AgentRole::"default/default/reader",
  action == Quarterdeck::Action::"callTool",
  resource == Quarterdeck::Tool::"default/default/files/read_file"
) when {
  resource in Quarterdeck::Toolset::"default/default/read" &&
  context.arguments.roots == ["input"] &&
  context.arguments.hosts.isEmpty() &&
  context.arguments.urls.isEmpty() &&
  context.arguments.bytes <= 32
};`);
  });

  test('holds a call to the tools, toolsets, roots, hosts and sizes that were seen', () => {
    const decide = decideWith([
      call('read_file', { paths: ['/input/a'], roots: ['input'], bytes: 30 }),
      call('fetch', { urls: ['https://a.test/'], hosts: ['a.test'] }),
    ]);
    expect(decide(call('read_file', { paths: ['/input/other'], roots: ['input'] }))).toBe('allow');
    expect(decide(call('read_file', { paths: ['/output/a'], roots: ['output'] }))).toBe('deny');
    expect(decide(call('read_file', { paths: ['/input/a'], roots: ['input'], bytes: 33 }))).toBe('deny');
    expect(decide(call('write_file', { paths: ['/input/a'], roots: ['input'] }))).toBe('deny');
    expect(decide(call('read_file', { paths: ['/input/a'], roots: ['input'] }, { resource: tool('read_file', 'write') }))).toBe('deny');
    expect(decide(call('fetch', { urls: ['https://a.test/other'], hosts: ['a.test'] }))).toBe('allow');
    expect(decide(call('fetch', { urls: ['https://b.test/'], hosts: ['b.test'] }))).toBe('deny');
  });

  test('holds agents to the paths that they were assigned, where all of them kept to these', () => {
    const own = (path: string, agentId: string) =>
      call('read_file', { paths: [path], roots: ['input'] }, { principal: agent(agentId, [path]) });
    const decide = decideWith([own('/input/a', 'agent-1'), own('/input/b', 'agent-2')]);
    expect(decide(own('/input/c', 'agent-3'))).toBe('allow');
    expect(decide(call('read_file', { paths: ['/input/b'], roots: ['input'] }, { principal: agent('agent-1', ['/input/a']) }))).toBe(
      'deny',
    );
  });

  test('lists paths in no known folder while they are few, and says so when they are not', () => {
    const [few] = suggestFor(call('look', { paths: ['/x/"q"'] }));
    expect(few?.conditions).toContain('["/x/\\"q\\""].containsAll(context.arguments.paths)');
    const [many] = suggestFor(...Array.from({ length: 21 }, (_each, index) => call('look', { paths: [`/x/${index}`] })));
    expect(many?.conditions.join()).not.toContain('arguments.paths');
    expect(many?.notes.join()).toContain('21 different paths');
  });

  test('permits models up to the tokens that were asked for, and resources by their template', () => {
    const model = {
      ...call('x'),
      action: 'invokeModel',
      resource: { uid: entityUid('Model', 'default/default/small'), entities: [modelEntity(tenancy, 'small', 'tiny')] },
      context: { who, maxTokens: 1000 },
    };
    const place = { ...tenancy, server: 'files', toolset: 'read', isolation: 0 };
    const template = { ...place, uriTemplate: 'note:///{id}', approvedHash: 'h', currentHash: 'h' };
    const note = (id: string): KnownRequest => ({
      ...call('x'),
      action: 'readResource',
      resource: {
        uid: entityUid('Resource', `default/default/files/note:///${id}`),
        entities: resourceEntities({ ...place, uri: `note:///${id}`, templates: [template] }),
      },
      context: { who, arguments: { ...noFacts, urls: [`note:///${id}`] } },
    });
    const decide = decideWith([model, note('1')]);
    expect(decide({ ...model, context: { who, maxTokens: 1024 } })).toBe('allow');
    expect(decide({ ...model, context: { who, maxTokens: 1025 } })).toBe('deny');
    expect(decide(note('2'))).toBe('allow');
  });

  test('is valid under the strict schema and allows every call that it was made from, whatever these were', () => {
    const text = fc.oneof(
      fc.constantFrom('/input/a', '/input/"b"', '/ü\\', '\u0001\u202e', '$x', '*'),
      fc.string({ minLength: 1, maxLength: 8 }),
    );
    const facts = fc.record({
      paths: fc.array(text, { maxLength: 3 }),
      roots: fc.subarray(['input', 'output', '(none)']),
      urls: fc.array(fc.webUrl(), { maxLength: 2 }),
      hosts: fc.subarray(['a.test', 'b.test']),
      canonical: fc.constant(true),
      bytes: fc.nat(100_000),
    });
    const calls = fc.array(
      fc
        .record({
          name: fc.constantFrom('read_file', 'write_file', 'odd"name\\'),
          toolset: fc.constantFrom('read', 'write'),
          agentId: fc.constantFrom('agent-1', 'agent-2'),
          assigned: fc.array(text, { maxLength: 2 }),
          facts,
          isOwn: fc.boolean(),
        })
        .map(({ name, toolset, agentId, assigned, facts, isOwn }) =>
          call(name, isOwn ? { ...facts, paths: assigned } : facts, { resource: tool(name, toolset), principal: agent(agentId, assigned) }),
        ),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(calls, (asked) => {
        expect(checkProjectPolicies(tenancy, policiesFrom(...asked))).toEqual({ ok: true });
        const decide = decideWith(asked);
        expect(asked.map(decide)).toEqual(asked.map(() => 'allow'));
        expect(decide({ ...call('another'), resource: tool('another') })).toBe('deny');
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
