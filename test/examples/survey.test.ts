import { MockActivityEnvironment } from '@temporalio/testing';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createActivities } from '../../activities/index.ts';
import { agentEntities, personEntities } from '../../policy/caller-entities.ts';
import { createPolicyEngine } from '../../policy/engine.ts';
import { entityUid, projectEntities } from '../../policy/entities.ts';
import { toolEntities } from '../../policy/toolset-entities.ts';
import { beginAgent, endAgent, listAgents } from '../../store/agents.ts';
import type { RunSnapshot } from '../../store/runs.ts';
import { openRunFixture, type RunFixture } from '../activities/run-fixture.ts';
import { loadExample, ofKind } from './load-example.ts';

const tenancy = { org: 'default', project: 'default' };
const resources = loadExample('survey');
const engine = createPolicyEngine();
let fixture: RunFixture;

beforeAll(async () => {
  fixture = await openRunFixture();
  const specs = <T>(list: { metadata: { name: string }; spec: T }[]) => list.map(({ metadata, spec }) => ({ name: metadata.name, spec }));
  const policySets = ofKind(resources, 'PolicySet').map(({ metadata, spec }) => ({ name: metadata.name, cedar: spec.cedar }));
  expect(engine.load(tenancy, { policySets, bindings: specs(ofKind(resources, 'AccessBinding')) })).toEqual({ ok: true });
});
afterAll(() => fixture.close());

type Asked = { role: string; toolset: string; tool: string; paths: string[]; roots: string[]; assignedPaths?: string[] };

/** What the policies say to a call of an agent of the role, given the facts that the gateway works out. */
const decide = ({ role, toolset, tool, paths, roots, assignedPaths = [] }: Asked): string => {
  const agentId = `default/default/survey/run_1/stage/${role}/0`;
  const server = toolset === 'survey-write' ? 'survey-output' : 'survey-input';
  const hints = { readOnly: tool !== 'write_file', destructive: false, idempotent: true, openWorld: false };
  const { effect } = engine.decide(tenancy, {
    principal: entityUid('Agent', agentId),
    action: 'callTool',
    resource: entityUid('Tool', `default/default/${server}/${tool}`),
    context: {
      who: { hasHuman: true, run: 'run_1' },
      arguments: { paths, roots, urls: [], hosts: [], canonical: true, bytes: 100 },
    },
    entities: [
      ...projectEntities({ ...tenancy, environment: 'development', frozen: false }),
      ...personEntities({ org: 'default', id: 'admin', groups: [], roles: ['administrator'], disabled: false }),
      ...agentEntities({ ...tenancy, agentId, fleet: 'survey', role, owner: 'admin', quarantined: false, assignedPaths }),
      ...toolEntities({ ...tenancy, server, tool, toolset, isolation: 1, ...hints, approvedHash: 'h', currentHash: 'h' }),
    ],
  });
  return effect;
};

const scout = { role: 'scout', toolset: 'survey-scan', tool: 'directory_tree', paths: ['/input'], roots: ['input'] };
const file = '/input/src/a.ts';
const reader = { role: 'reader', toolset: 'survey-read', tool: 'read_text_file', paths: [file], roots: ['input'], assignedPaths: [file] };
const clerk = { role: 'clerk', toolset: 'survey-write', tool: 'write_file', paths: ['/output/survey.md'], roots: ['output'] };

test('lets each role do its own work', () => {
  expect([scout, reader, clerk].map(decide)).toEqual(['allow', 'allow', 'allow']);
});

test.each([
  ['a scout outside of the input folder', { ...scout, paths: ['/etc'], roots: [] }],
  ['a scout that reads', { ...scout, toolset: 'survey-read', tool: 'read_text_file', paths: [file] }],
  ['a reader of another file', { ...reader, paths: ['/input/src/b.ts'] }],
  ['a reader of its own and another file', { ...reader, paths: [file, '/input/src/b.ts'] }],
  ['a reader of no file', { ...reader, paths: [], roots: [] }],
  ['a reader that writes', { ...reader, toolset: 'survey-write', tool: 'write_file', paths: ['/output/x'], roots: ['output'] }],
  ['a clerk outside of the output folder', { ...clerk, paths: ['/tmp/x'], roots: [] }],
  ['a clerk that reads', { ...clerk, toolset: 'survey-read', tool: 'read_text_file', paths: [file], roots: ['input'] }],
  ['a role that was granted nothing', { ...reader, role: 'stranger' }],
])('refuses %s', (_what, asked) => {
  expect(decide(asked)).toBe('deny');
});

test('drafts one card for each file read, says what is missing, and says when the model was tiny', async () => {
  const snapshot: RunSnapshot = {
    fleet: ofKind(resources, 'Fleet')[0]?.spec as RunSnapshot['fleet'],
    roles: Object.fromEntries(ofKind(resources, 'AgentRole').map(({ metadata, spec }) => [metadata.name, spec])),
    models: Object.fromEntries(ofKind(resources, 'Model').map(({ metadata, spec }) => [metadata.name, spec])),
  };
  const activities = createActivities({ ...fixture, gateway: {} as never, workflows: {} as never, logger: pino({ level: 'silent' }) });
  const key = await fixture.launch(snapshot);
  const environment = new MockActivityEnvironment();
  await environment.run(activities.openRun, key);
  const finish = async (stage: string, outputOf: (path: string) => unknown): Promise<void> => {
    await environment.run(activities.prepareStage, { run: key, stage });
    for (const agent of await listAgents(fixture.database, key, stage)) {
      await beginAgent(fixture.database, agent.id);
      const output = outputOf(agent.assignedPaths[0] ?? '');
      if (output === undefined) await endAgent(fixture.database, agent.id, { state: 'parked', reason: 'tool_refused', detail: 'd' });
      else {
        const outputDigest = await fixture.contents.putJson(agent, output, 'agent-output');
        await endAgent(fixture.database, agent.id, { state: 'done', outputDigest });
      }
    }
  };
  await finish('scout', () => ({ files: ['/input/src/a.ts', '/input/b.md', '/input/c'] }));
  await finish('read', (path) =>
    path === '/input/c'
      ? undefined
      : { path, kind: 'source', purpose: `about\n${path}`, risk: 'none', todos: path.endsWith('.md') ? ['one', 'two'] : [] },
  );
  await environment.run(activities.prepareStage, { run: key, stage: 'merge' });
  const [row] = await listAgents(fixture.database, key, 'merge');
  const { draft } = (await fixture.contents.getJson(key, row?.inputDigest ?? '')) as { draft: string };
  expect(draft).toMatch(/^# Survey of atlas\n/);
  expect(draft).toContain('> **Quality: tiny.**');
  expect(draft).toContain('2 files read, 1 not finished.');
  expect(draft.match(/^## .*$/gm)).toEqual(['## src/a.ts', '## b.md', '## Not finished']);
  expect(draft).toContain('- **Purpose:** about /input/src/a.ts\n');
  expect(draft).toContain('- **TODOs:** one; two\n');
  expect(draft).toContain('\n- c\n');
});
