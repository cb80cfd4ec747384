import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runIdFrom } from '../../schema/ids.ts';
import { AgentRoleSpecSchema } from '../../schema/resources/agent-role.ts';
import { FleetSpecSchema } from '../../schema/resources/fleet.ts';
import { ModelSpecSchema } from '../../schema/resources/model.ts';
import { type ContentStore, createContentStore } from '../../store/contents.ts';
import { closeDatabase, type Database, openDatabase } from '../../store/database.ts';
import { insertRun, type RunKey, type RunSnapshot } from '../../store/runs.ts';
import { deriveContentKeys } from '../../store/secrets/seal.ts';
import { startTestDatabase } from '../support/postgres.ts';

/** Scout chooses files, a reader for each, and a clerk writes them down: the shape of a survey, without its resources. */
export const snapshotOf = (
  change: { decoding?: 'native' | 'constrained'; stages?: unknown[]; concurrency?: number; output?: object } = {},
): RunSnapshot => {
  const output = (properties: object, required: string[]) => ({ type: 'object', properties, required, additionalProperties: false });
  const files = { type: 'array', items: { type: 'string', 'x-from': 'seen' }, uniqueItems: true, maxItems: 12 };
  return {
    fleet: FleetSpecSchema.parse({
      inputs: [
        { name: 'path', type: 'folder', volume: 'input' },
        { name: 'topic', type: 'text', default: 'ships' },
      ],
      output: { volume: 'output', ...change.output },
      concurrency: change.concurrency ?? 4,
      stages: change.stages ?? [
        { name: 'scout', role: 'scout', input: { root: '/input' } },
        { name: 'read', role: 'reader', forEach: 'stages.scout.output.files', input: { path: { from: 'item' } } },
        {
          name: 'merge',
          role: 'clerk',
          input: {
            path: '/output/survey.md',
            draft: {
              template: '# {{ inputs.path }}\n{% for card in stages.read.outputs %}- {{ card.path }}: {{ card.purpose }}\n{% endfor %}',
            },
          },
        },
      ],
    }),
    roles: {
      scout: AgentRoleSpecSchema.parse({
        instructions: 'Choose files.',
        model: 'survey',
        toolset: 'survey-scan',
        requiredCalls: ['directory_tree'],
        output: output({ files }, ['files']),
      }),
      reader: AgentRoleSpecSchema.parse({
        instructions: 'Read one file.',
        model: 'survey',
        toolset: 'survey-read',
        requiredCalls: ['read_text_file'],
        output: output({ path: { type: 'string', 'x-from': 'input' }, purpose: { type: 'string' } }, ['path', 'purpose']),
      }),
      clerk: AgentRoleSpecSchema.parse({
        instructions: 'Write the survey.',
        model: 'survey',
        toolset: 'survey-write',
        requiredCalls: ['write_file'],
        output: output({ written: { type: 'boolean' } }, ['written']),
      }),
    },
    models: {
      survey: ModelSpecSchema.parse({
        routes: [{ provider: 'local', model: 'm' }],
        decoding: change.decoding ?? 'constrained',
        quality: 'tiny',
      }),
    },
  };
};

export type RunFixture = Awaited<ReturnType<typeof openRunFixture>>;

/** A database with a content store of its own, in which runs can be launched as `api` does it. */
export const openRunFixture = async () => {
  const { url, close } = await startTestDatabase();
  const database: Database = openDatabase({ url, name: 'test', max: 8 });
  const contents: ContentStore = createContentStore(database, deriveContentKeys(randomBytes(32).toString('base64'), 'worker'));
  const outputDirectory = await mkdtemp(join(tmpdir(), 'quarterdeck-output-'));

  const launch = async (snapshot: RunSnapshot = snapshotOf()): Promise<RunKey> => {
    const key = { org: 'default', project: 'default', id: runIdFrom(randomBytes(10)) };
    await insertRun(database, {
      ...key,
      fleet: 'survey',
      snapshot,
      inputsDigest: await contents.putJson(key, { path: '/home/someone/atlas' }, 'run-inputs'),
      volumes: [],
      outputDirectory,
      quality: 'tiny',
      startedBy: 'admin',
      launchDecisionId: 'decision-0',
    });
    return key;
  };

  return {
    database,
    contents,
    outputDirectory,
    launch,
    close: async (): Promise<void> => {
      await closeDatabase(database);
      await close();
      await rm(outputDirectory, { recursive: true, force: true });
    },
  };
};
