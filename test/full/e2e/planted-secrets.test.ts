import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findTemporal } from '../../../cli/setup/find-temporal.mjs';
import { closeDatabase, openDatabase } from '../../../store/database.ts';
import { replacePersonToken, seedPeople } from '../../../store/people.ts';
import { encodedForms } from '../../../telemetry/encoded-forms.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { runCli } from '../../support/run-cli.ts';
import { modernRequest } from '../../support/running-edge.ts';
import { askApi, createPlatformPlace, type PlatformPlace } from '../../support/running-platform.ts';
import { type ScriptedAnswer, type ScriptedModel, startScriptedModel } from '../../support/scripted-model.ts';
import { plantTree } from '../../support/survey-place.ts';
import { playSurveyStep, surveyStepOf } from '../../support/survey-player.ts';
import { startTraceCollector } from '../../support/trace-collector.ts';
import { startVaultServer, type VaultServer } from '../../support/vault-server.ts';

/** Twelve secrets and prompts, each where one really stands; none has the shape of a token but the ninth and tenth. */
const planted = {
  environmentKey: 'planted-01-environment/key+7Qx',
  fileKey: 'planted-02-file-key-9Zr=4w',
  vaultKey: 'planted-03-vault-key-"quoted"',
  keychainKey: 'planted-04-keychain-key-k2Lm',
  vaultToken: 'planted-05-vault-token-Hs81',
  clientSecret: 'planted-06-client-secret-Vb3n',
  readText: 'planted-07: the launch code is 8842-horse',
  modelAnswer: 'planted-08: what the model made of it, 5519-battery',
  argumentToken: 'sk-planted09-0123456789abcdef',
  namedToken: 'ghp_planted10abcdefghijABCDEFGHIJ0123456789',
  prompt: 'planted-11: a prompt of a person, 7731-staple',
  echoedPrompt: 'planted-12: a prompt that its provider repeats in an error, 2206-correct',
} as const;

const example = fileURLToPath(new URL('../../../examples/survey', import.meta.url));
let place: PlatformPlace;
let vault: VaultServer;
let model: ScriptedModel;
let ready: Awaited<ReturnType<PlatformPlace['start']>>['ready'];
let files: string[];
let collector: Awaited<ReturnType<typeof startTraceCollector>>;
const keysSeen = new Set<string>();

const provider = (name: string, apiKey: object): string =>
  `apiVersion: quarterdeck.dev/v1alpha1
kind: Provider
metadata: { name: ${name} }
spec: { kind: openai-compatible, baseUrl: "${model.url}", apiKey: ${JSON.stringify(apiKey)} }
---
apiVersion: quarterdeck.dev/v1alpha1
kind: Model
metadata: { name: ${name} }
spec: { routes: [{ provider: ${name}, model: scripted }] }
---
`;

/** The survey's roles, each with a model of its own, whose key is kept in another place. */
const writeResources = (folder: string, secretFile: string): void => {
  cpSync(example, folder, { recursive: true });
  const models = ['by-env', 'by-file', 'by-vault'];
  const split = (text: string): string => {
    let role = 0;
    return text
      .replace(/^ {2}model: survey$/gm, () => `  model: ${models[role++]}`)
      .replace(/models: \[survey\]/g, `models: [${models.join(', ')}]`);
  };
  const roles = join(folder, 'roles.yaml');
  writeFileSync(roles, split(readFileSync(roles, 'utf8')));
  writeFileSync(
    join(folder, 'models.yaml'),
    provider('by-env', { env: 'PLANTED_KEY' }) +
      provider('by-file', { file: secretFile }) +
      provider('by-vault', { vault: { path: 'secret/default/default/model', field: 'key' } }) +
      provider('by-keychain', { keychain: 'model' }) +
      `apiVersion: quarterdeck.dev/v1alpha1
kind: OAuthClient
metadata: { name: portal }
spec: { redirectUris: ["https://portal.example.com/callback"], clientSecret: { env: PLANTED_CLIENT } }
`,
  );
};

const answer = (request: Parameters<Parameters<typeof startScriptedModel>[0]['answer']>[0]): ScriptedAnswer => {
  keysSeen.add(String(request.headers.authorization).replace('Bearer ', ''));
  const said = JSON.stringify(request.body.messages);
  // an impolite provider: it repeats the prompt, and the key that it was given
  if (said.includes('planted-12')) return { status: 400, message: `no: ${planted.echoedPrompt} with ${request.headers.authorization}` };
  if (!request.body.tools) return planted.modelAnswer;
  const step = surveyStepOf(request);
  if (step.role !== 'reader') return playSurveyStep(step, files);
  // one reader asks for a path that holds a token, and one for a tool by such a name, before they do their work
  if (step.results === 0 && step.task.path === files[0])
    return { toolCalls: [{ name: 'read_text_file', arguments: { path: `/input/src/${planted.argumentToken}` } }] };
  if (step.results === 0 && step.task.path === files[1]) return { toolCalls: [{ name: planted.namedToken, arguments: {} }] };
  if (step.results <= 1 && files.slice(0, 2).includes(step.task.path ?? '') && !said.includes('planted-07'))
    return { toolCalls: [{ name: 'read_text_file', arguments: { path: step.task.path } }] };
  if (step.results === 0) return playSurveyStep(step, files);
  return JSON.stringify({ path: step.task.path, purpose: planted.modelAnswer, kind: 'source', risk: 'none', todos: [] });
};

beforeAll(async () => {
  place = await createPlatformPlace();
  collector = await startTraceCollector();
  vault = await startVaultServer();
  vault.allow(planted.vaultToken);
  vault.keep('secret/default/default/model', { key: planted.vaultKey.replaceAll('"', '_') });
  model = await startScriptedModel({ answer });
  const commands = join(place.folder, 'commands');
  mkdirSync(commands);
  writeFileSync(join(commands, 'secret-tool'), `#!/bin/sh\n[ "$5" = default/default/model ] && printf '%s' '${planted.keychainKey}'\n`);
  chmodSync(join(commands, 'secret-tool'), 0o755);
  const secretFile = join(place.folder, 'file.key');
  writeFileSync(secretFile, `${planted.fileKey}\n`);
  const input = join(place.folder, 'input');
  files = plantTree(input, 4);
  for (const file of files) writeFileSync(join(input, file.replace('/input/', '')), `// ${planted.readText}\n`);
  const resources = join(place.folder, 'resources');
  writeResources(resources, secretFile);
  const up = await place.start(['--profile', 'dev'], {
    PATH: `${commands}:${process.env.PATH}`,
    PLANTED_KEY: planted.environmentKey,
    PLANTED_CLIENT: planted.clientSecret,
    VAULT_ADDR: vault.address,
    VAULT_TOKEN: planted.vaultToken,
    LOG_LEVEL: 'debug',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
  });
  ready = up.ready;
  const applied = await runCli(['apply', '-f', resources, '--data', place.data]);
  expect(applied.stderr + applied.stdout, 'apply').not.toMatch(/Error/);
  await runCli(['wait', 'toolset/survey-read', '--for=condition=Ready', '--timeout=60s', '--data', place.data]);
});
afterAll(async () => {
  place.close();
  await model.close();
  await vault.close();
  collector.close();
});

const chat = (name: string, content: string) =>
  fetch(`${ready.modelsUrl}/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ready.adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: name, messages: [{ role: 'user', content }] }),
  });

/** All that Temporal keeps of the workflows: their histories, with payloads decoded too, and the file of its database. */
const historiesOf = (run: string): { ids: string[]; text: string; stored: string } => {
  const ask = (...args: string[]): string =>
    execFileSync(findTemporal() ?? 'temporal', ['workflow', ...args, '--address', ready.temporalAddress, '-o', 'json'], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
  const workflows: { execution: { workflowId: string } }[] = JSON.parse(ask('list', '--limit', '1000'));
  const ids = [...new Set(workflows.map(({ execution }) => execution.workflowId))].filter((id) => id.includes(run));
  const shown = ids.map((id) => ask('show', '--workflow-id', id)).join('\n');
  const payloads = [...shown.matchAll(/"data":\s*"([A-Za-z0-9+/=]+)"/g)].map(([, data]) => Buffer.from(data ?? '', 'base64').toString());
  const folder = join(place.data, 'temporal');
  const stored = readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'latin1'))
    .join('\n');
  return { ids, text: [shown, ...payloads].join('\n'), stored };
};

/** Every row of every table, as JSON. */
const dumpDatabase = async (): Promise<string> => {
  const client = new pg.Client({ connectionString: ready.databaseUrl });
  await client.connect();
  try {
    const { rows: tables } = await client.query(
      "select quote_ident(schemaname) || '.' || quote_ident(tablename) as name from pg_tables where schemaname in ('public', 'drizzle')",
    );
    expect(tables.length).toBeGreaterThan(20);
    const dumps: string[] = [];
    for (const { name } of tables) {
      const { rows } = await client.query(`select row_to_json(t)::text as row from ${name} t`);
      dumps.push(`table ${name}`, ...rows.map(({ row }) => row as string));
    }
    return dumps.join('\n');
  } finally {
    await client.end();
  }
};

const logsOf = (): string =>
  readdirSync(join(place.data, 'logs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');

test('twelve planted secrets and prompts: none is in histories, tables, logs, traces, metrics or the process list after a fleet has run', async () => {
  const launched = await askApi(ready, '/default/default/runs', {
    body: { fleet: 'survey', inputs: { path: join(place.folder, 'input') } },
  });
  expect(launched.status).toBe(201);
  const run: string = launched.body.id;
  const ended = await pollUntil(
    async () => {
      const { body } = await askApi(ready, `/default/default/runs/${run}`);
      return body?.endedAt ? body : undefined;
    },
    'the run to end',
    150_000,
  );
  expect(
    ended.state,
    JSON.stringify(ended.agents?.map(({ role, state, reason }: Record<string, string>) => [role, state, reason])),
  ).toMatch(/succeeded|partial/);
  expect(await (await chat('by-keychain', planted.prompt)).text()).toContain('planted-08');
  // a client that calls a tool by a token for a name
  const call = modernRequest(
    'tools/call',
    { name: planted.namedToken, arguments: {} },
    { headers: { authorization: `Bearer ${ready.adminToken}` } },
  );
  expect(await (await fetch(`${ready.mcpUrl}/survey-read`, call)).text()).toContain('Unknown tool');
  const refused = await (await chat('by-keychain', planted.echoedPrompt)).text();
  expect(refused).not.toContain(planted.keychainKey);
  await fetch(`${ready.url.replace(/\d+$/, (port) => String(Number(port) + 2))}/token`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`default%2Fdefault%2Fportal:${encodeURIComponent(planted.clientSecret)}`).toString('base64')}`,
    },
    body: new URLSearchParams({ grant_type: 'authorization_code', code: 'none', redirect_uri: 'https://portal.example.com/callback' }),
  });
  // each key went to the provider, by whichever way it is kept: nothing is absent because it was never there
  expect([...keysSeen].sort()).toEqual(
    [planted.environmentKey, planted.fileKey, planted.vaultKey.replaceAll('"', '_'), planted.keychainKey].sort(),
  );

  const { ids, text: histories, stored } = historiesOf(run);
  expect(ids.length).toBeGreaterThan(files.length);
  await pollUntil(() => (JSON.stringify(collector.bodies).includes('[secret:') ? true : undefined), 'the spans of the last calls', 30_000);
  const sinks = {
    histories,
    traces: JSON.stringify(collector.bodies),
    'the file of Temporal': stored,
    tables: await dumpDatabase(),
    logs: logsOf(),
    metrics: await fetch(ready.metricsUrl).then((response) => response.text()),
    processes: execFileSync('ps', ['axww'], { encoding: 'utf8', maxBuffer: 1 << 26 }),
  };
  // what is looked through is really of this run
  for (const sink of ['histories', 'the file of Temporal', 'tables', 'logs'] as const) expect(sinks[sink].includes(run), sink).toBe(true);
  expect(sinks.metrics).toContain('quarterdeck_');
  const secrets = {
    ...planted,
    vaultKey: planted.vaultKey.replaceAll('"', '_'),
    admin: ready.adminToken ?? '',
    reviewer: ready.reviewerToken ?? '',
  };
  const hits = Object.entries(sinks).flatMap(([sink, text]) =>
    Object.entries(secrets).flatMap(([name, secret]) =>
      encodedForms(secret)
        .filter((form) => form.length >= 12 && text.includes(form))
        .map((form) => `${name} in ${sink}: ${around(text, form)}`),
    ),
  );
  expect(hits).toEqual([]);
  // what was redacted left its fingerprint: the name that was called, and the path that was asked for
  expect(/"tool":"\[secret:[0-9a-f]{12}\]"/.test(sinks.tables), 'the fingerprint of the name').toBe(true);
  expect(/"\/input\/src\/\[secret:[0-9a-f]{12}\]"/.test(sinks.tables), 'the fingerprint in the path').toBe(true);
});

const around = (text: string, form: string): string => {
  const at = text.indexOf(form);
  return text.slice(Math.max(0, at - 80), at + form.length + 40);
};

test('a person of another org gets 403 for the run, its transcripts and its audit', async () => {
  const database = openDatabase({ url: ready.databaseUrl, name: 'test-other-org' });
  const token = 'qd_other-org-token-0123456789abcdef';
  await seedPeople(database, 'other', [{ id: 'eve', groups: [], roles: ['administrator'] }]);
  await replacePersonToken(database, { org: 'other', personId: 'eve', stamp: 'test', token });
  await closeDatabase(database);
  const { body } = await askApi(ready, '/default/default/runs');
  const run = body.runs[0];
  const { body: shown } = await askApi(ready, `/default/default/runs/${run.id}`);
  const [agent] = shown.agents;
  for (const path of [
    '/default/default/runs',
    `/default/default/runs/${run.id}`,
    `/default/default/runs/${run.id}/agents/${agent.id}/transcript`,
    '/default/default/audit?limit=1',
  ])
    expect((await askApi(ready, path, { token })).status, path).toBe(403);
  const opened = await askApi(ready, `/default/default/runs/${run.id}/agents/${agent.id}/transcript`);
  expect(opened.status).toBe(200);
});
