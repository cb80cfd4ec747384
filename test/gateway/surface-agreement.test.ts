import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide } from '../../gateway/decide.ts';
import { resourceTarget, targetOf } from '../../gateway/surface/decide-listing.ts';
import { createLiveResources } from '../../gateway/surface/live-resources.ts';
import { createResourceDirectory } from '../../gateway/surface/resource-directory.ts';
import { viewOf } from '../../gateway/surface/view.ts';
import { uriFacts } from '../../policy/uri-facts.ts';
import { createSurfaceFixture, endpointOf, guest, requestOf } from '../support/surface-fixture.ts';

const inputSchema = { type: 'object' };
const servers = {
  one: {
    tools: [{ name: 'look', inputSchema }],
    prompts: [{ name: 'review' }],
    templates: [{ uriTemplate: 'note:///{id}', name: 'notes' }],
    resources: [
      { uri: 'note:///1', name: 'first' },
      { uri: 'file:///docs/a', name: 'a' },
    ],
  },
  two: { tools: [{ name: 'act', inputSchema }], prompts: [{ name: 'greet' }], resources: [{ uri: 'two://own', name: 'own' }] },
};

/** Scopes and conditions that tenants write, in all combinations. */
const action = fc.constantFrom(
  'action',
  'action in Quarterdeck::Action::"use"',
  ...['listTool', 'callTool', 'listPrompt', 'getPrompt', 'listResource', 'readResource'].map(
    (name) => `action == Quarterdeck::Action::"${name}"`,
  ),
);
const resource = fc.constantFrom(
  'resource',
  'resource in Quarterdeck::Server::"default/default/one"',
  'resource in Quarterdeck::Toolset::"default/default/all"',
  'resource == Quarterdeck::Tool::"default/default/one/look"',
  'resource in Quarterdeck::Template::"default/default/one/note:///{id}"',
  'resource is Quarterdeck::Resource',
);
const known = fc.constantFrom(
  'principal in Quarterdeck::Group::"default/guests"',
  'principal in Quarterdeck::Group::"default/others"',
  'context.who.hasHuman',
);
const clause = fc.record({ kind: fc.constantFrom('when', 'unless'), condition: known });
/** Conditions on arguments need an action that has some. */
const argumentClause = fc.record({
  kind: fc.constantFrom('when', 'unless'),
  condition: fc.constantFrom(
    'context.arguments.paths.contains("/docs/a")',
    'context.arguments.canonical && principal in Quarterdeck::Group::"default/guests"',
    'context.arguments.canonical || principal in Quarterdeck::Group::"default/guests"',
    'context.arguments.bytes > 5 && context.arguments.urls.contains("note:///1")',
    'if context.arguments.canonical then resource in Quarterdeck::Server::"default/default/one" else true',
    'resource.project.frozen',
  ),
});
const uses = fc.constantFrom('callTool', 'getPrompt', 'readResource').map((name) => `action == Quarterdeck::Action::"${name}"`);
const effect = fc.constantFrom('permit', 'forbid');
const policy = fc.oneof(
  fc.record({ effect, action, resource, clauses: fc.array(clause, { maxLength: 2 }) }),
  fc.record({ effect, action: uses, resource: fc.constant('resource'), clauses: fc.array(argumentClause, { minLength: 1, maxLength: 2 }) }),
);
type Written = { effect: string; action: string; resource: string; clauses: { kind: string; condition: string }[] };
const textOf = ({ effect, action, resource, clauses }: Written): string =>
  `${effect} (principal, ${action}, ${resource}) ${clauses.map(({ kind, condition }) => `${kind} { ${condition} }`).join(' ')};`;

const contexts = [
  { paths: [], roots: [], urls: [], hosts: [], canonical: true, bytes: 0 },
  { paths: ['/docs/a'], roots: [], urls: ['note:///1'], hosts: [], canonical: true, bytes: 10 },
  { paths: [], roots: [], urls: ['note:///1'], hosts: [], canonical: true, bytes: 10 },
];

const fixtureWith = (policies: Written[]) =>
  createSurfaceFixture(
    servers,
    { kind: 'Toolset', metadata: { name: 'all' }, spec: { servers: [{ name: 'one' }, { name: 'two' }] } },
    {
      kind: 'PolicySet',
      metadata: { name: 'p' },
      spec: { cedar: ['permit (principal, action, resource);', ...policies.map(textOf)].join('\n') },
    },
  );

describe('one engine decides lists and uses', () => {
  test('so that whatever policies say, what some call may use is listed, and what is listed no policy denies without a look at the call', {
    timeout: 240_000,
  }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(policy, { minLength: 1, maxLength: 4 }), async (policies) => {
        const fixture = fixtureWithOrSkip(policies);
        fc.pre(fixture !== undefined);
        if (!fixture) return;
        const view = viewOf(fixture.context, guest, endpointOf('/mcp/all'));
        const everything = [
          { kind: 'tool' as const, use: 'callTool', list: 'listTool' },
          { kind: 'prompt' as const, use: 'getPrompt', list: 'listPrompt' },
          { kind: 'template' as const, use: 'readResource', list: 'listResource' },
        ];
        for (const { kind, use, list } of everything) {
          const listed = new Set(view.list(kind).map(({ pinned, server }) => `${server.metadata.name}/${pinned.name}`));
          for (const source of view.sources)
            for (const pinned of fixture.context.declared().definitionsOf(source.tenancy, source.server.metadata.name, kind)) {
              const item = { ...source, name: pinned.name, pinned, shown: {}, fixed: {}, headers: [] };
              const ask = (action: string, facts: object | 'any') =>
                decide(fixture.context, {
                  principal: guest,
                  action,
                  ...targetOf(item),
                  ...(facts === 'any' ? { facts } : { facts: facts as never }),
                }).effect;
              const isListed = listed.has(`${source.server.metadata.name}/${pinned.name}`);
              const isSeen = ask(list, {}) === 'allow';
              // some call goes through and it may be seen: listed
              if (isSeen && contexts.some((facts) => ask(use, { arguments: facts }) === 'allow')) expect(isListed).toBe(true);
              // listed: there is nothing that refuses it whatever the call is
              expect(isListed).toBe(isSeen && ask(use, 'any') === 'allow');
              // not listed: its use answers as that of an unknown name
              if (kind !== 'template')
                expect(view.find(kind, `${source.server.metadata.name}__${pinned.name}`).item !== undefined).toBe(isListed);
            }
        }
      }),
      { numRuns: 60 },
    );
  });

  test('for resources exactly: listed is what may be read, and nothing else', { timeout: 240_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(policy, { minLength: 1, maxLength: 4 }), async (policies) => {
        const fixture = fixtureWithOrSkip(policies);
        fc.pre(fixture !== undefined);
        if (!fixture) return;
        const { context, pool } = fixture;
        const directory = createResourceDirectory({ context, pool, live: createLiveResources({ context, pool }) });
        const request = requestOf('resources/list', {}, { principal: guest });
        const { resources } = await directory.list(request);
        const view = viewOf(context, guest, endpointOf('/mcp/all'));
        for (const source of view.sources)
          for (const { uri } of servers[source.server.metadata.name as keyof typeof servers].resources) {
            const templates = view.templates.filter(
              ({ key, pinned }) => key === source.key && pinned.name === 'note:///{id}' && uri.startsWith('note:'),
            );
            const target = resourceTarget(source, uri, templates);
            const facts = { arguments: { ...uriFacts(uri), roots: [] } };
            const isReadable =
              decide(context, { principal: guest, action: 'listResource', ...target }).effect === 'allow' &&
              decide(context, { principal: guest, action: 'readResource', ...target, facts }).effect === 'allow';
            expect(resources.some((listed) => listed.uri === uri)).toBe(isReadable);
            const located = await directory.locate(request, uri);
            expect(located.source !== undefined).toBe(isReadable);
          }
      }),
      { numRuns: 40 },
    );
  });

  test('a policy that cannot be evaluated for a list is refused when it is loaded', () => {
    const cedar = 'forbid (principal, action == Quarterdeck::Action::"listPrompt", resource) when { context.arguments.canonical };';
    expect(() => createSurfaceFixture(servers, { kind: 'PolicySet', metadata: { name: 'p' }, spec: { cedar } })).toThrow(/arguments/);
  });
});

/** Combinations that the strict schema refuses (an action that can never have such a resource) say nothing here. */
function fixtureWithOrSkip(policies: Written[]) {
  try {
    return fixtureWith(policies);
  } catch {
    return undefined;
  }
}
