import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AuditEvent } from '../../schema/audit-event.ts';
import type { RunProgress } from '../../schema/run.ts';
import { pollUntil } from './poll-until.ts';
import { type CliResult, runCli } from './run-cli.ts';
import { askApi, createPlatformPlace } from './running-platform.ts';
import { type ScriptedAnswer, type ScriptedRequest, startScriptedModel } from './scripted-model.ts';

const example = fileURLToPath(new URL('../../examples/survey', import.meta.url));
export const planted = 'PLANTED-CONTENT-5d1e';

const modelsYaml = (url: string): string => `
apiVersion: quarterdeck.dev/v1alpha1
kind: Provider
metadata: { name: scripted }
spec: { kind: openai-compatible, baseUrl: "${url}" }
---
apiVersion: quarterdeck.dev/v1alpha1
kind: Model
metadata: { name: survey }
spec: { routes: [{ provider: scripted, model: scripted, price: { inputMicroUsdPerMillion: 1000000, outputMicroUsdPerMillion: 2000000 } }] }
`;

/** A source tree of `count` files; each has the planted text. */
export const plantTree = (folder: string, count: number): string[] => {
  mkdirSync(join(folder, 'src'), { recursive: true });
  return Array.from({ length: count }, (_unused, index) => {
    writeFileSync(join(folder, 'src', `file-${index}.ts`), `// ${planted} ${index}\nexport const value = ${index};\n`);
    return `/input/src/file-${index}.ts`;
  });
};

/**
 * A platform on the real command with the example survey declared, its models a scripted one whose answers `answer` gives.
 * The platform may be ended and started again on the same data.
 */
export const createSurveyPlace = async (
  answer: (request: ScriptedRequest, callNumber: number) => ScriptedAnswer | Promise<ScriptedAnswer>,
) => {
  const place = await createPlatformPlace();
  const model = await startScriptedModel({ answer });
  const resources = join(place.folder, 'resources');
  cpSync(example, resources, { recursive: true });
  writeFileSync(join(resources, 'models.yaml'), modelsYaml(model.url));
  const input = join(place.folder, 'input');
  const files = plantTree(input, 12);
  const cli = (...args: string[]): Promise<CliResult> => runCli([...args, '--data', place.data]);
  let up = await place.start(['--profile', 'dev']);

  const progress = async (id: string): Promise<RunProgress> => (await askApi(up.ready, `/default/default/runs/${id}`)).body;

  return {
    ...place,
    model,
    input,
    files,
    resources,
    cli,
    ready: () => up.ready,
    supervisor: () => up,
    restart: async () => {
      up = await place.start(['--profile', 'dev']);
    },
    declare: async () => {
      const applied = await cli('apply', '-f', resources);
      if (applied.code !== 0) throw new Error(applied.stderr);
      const waited = await cli('wait', 'toolset/survey-read', '--for=condition=Ready', '--timeout=60s');
      if (waited.code !== 0) throw new Error(waited.stderr);
    },
    launch: async (): Promise<string> => {
      const { body, status } = await askApi(up.ready, '/default/default/runs', { body: { fleet: 'survey', inputs: { path: input } } });
      if (status !== 201) throw new Error(JSON.stringify(body));
      return body.id;
    },
    progress,
    ended: (id: string, deadlineMs = 150_000): Promise<RunProgress> =>
      pollUntil(
        async () => {
          const run = await progress(id).catch(() => undefined);
          return run?.endedAt ? run : undefined;
        },
        `run ${id} to end`,
        deadlineMs,
      ),
    audit: async (query: string): Promise<AuditEvent[]> =>
      (await askApi(up.ready, `/default/default/audit?limit=5000&${query}`)).body.events,
    survey: (run: RunProgress): string => readFileSync(run.result ?? '', 'utf8'),
    close: async () => {
      await model.close();
      place.close();
    },
  };
};
export type SurveyPlace = Awaited<ReturnType<typeof createSurveyPlace>>;
