import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findTemporal } from '../../../cli/setup/find-temporal.mjs';
import { pollUntil } from '../../support/poll-until.ts';
import type { ScriptedAnswer, ScriptedRequest } from '../../support/scripted-model.ts';
import { createSurveyPlace, planted, type SurveyPlace } from '../../support/survey-place.ts';
import { playSurveyStep, type SurveyStep, surveyStepOf } from '../../support/survey-player.ts';

let place: SurveyPlace;
let behave: (step: SurveyStep, request: ScriptedRequest) => ScriptedAnswer | Promise<ScriptedAnswer>;
const runIdOf = (text: string): string => /run_[0-9a-z]{16}/.exec(text)?.[0] ?? '';

beforeAll(async () => {
  place = await createSurveyPlace((request) => behave(surveyStepOf(request), request));
  await place.declare();
});
beforeEach(() => {
  behave = (step) => playSurveyStep(step, place.files);
});
afterAll(() => place.close());

const survey = (...args: string[]) => place.cli('fleet', 'run', 'survey', '--input', `path=${place.input}`, ...args);

describe('a team runs a fleet', () => {
  test('gets a card for each file, and the audit shows each read with who, what, which rule and how long', async () => {
    const result = await survey('--watch');
    expect(result).toMatchObject({ code: 0 });
    const text = readFileSync(result.stdout.trim(), 'utf8');
    for (const file of place.files) expect(text.match(new RegExp(`^## ${file.replace('/input/', '')}$`, 'gm'))).toHaveLength(1);
    const run = runIdOf(result.stderr);
    const reads = await place.audit(`run=${run}&tool=read_text_file`);
    expect(reads).toHaveLength(place.files.length);
    for (const read of reads)
      expect(read).toMatchObject({
        kind: 'call',
        role: 'reader',
        fleet: 'survey',
        project: 'default',
        person: 'admin',
        decision: 'allow',
        outcome: 'ok',
        agent: expect.stringContaining(run),
      });
    for (const read of reads) expect(read.durationMs).toBeGreaterThan(0);
    expect(reads.map((read) => (read.facts.paths as string[])[0]).sort()).toEqual([...place.files].sort());
    const shown = await place.cli('audit', 'query', '--run', run, '--tool', 'read_text_file');
    expect(shown.stdout).toMatch(/reader +survey +default +admin +callTool/);
    const models = await place.audit(`run=${run}&action=invokeModel`);
    expect(models.every((row) => (row.inputTokens ?? 0) > 0 && (row.costMicroUsd ?? 0) > 0)).toBe(true);
    // each step of an agent by itself: what it asked its model, and the calls that came of that
    const steps = [...models, ...(await place.audit(`run=${run}&action=callTool`))];
    const ofStep = (rows: typeof steps) => rows.map(({ operationId }) => operationId).sort();
    const first = await place.audit(`run=${run}&step=1`);
    expect(ofStep(first)).toEqual(ofStep(steps.filter(({ operationId }) => /\/step-1\//.test(operationId ?? ''))));
    for (const { agent } of reads) expect(first.filter((row) => row.agent === agent).map(({ action }) => action)).toContain('invokeModel');
    expect(first.length).toBeLessThan(steps.length);
    const { events } = JSON.parse((await place.cli('audit', 'query', '--run', run, '--step', '1', '--limit', '5000', '-o', 'json')).stdout);
    expect(ofStep(events)).toEqual(ofStep(first));
    const progress = await place.progress(run);
    expect(progress.totals.costMicroUsd).toBe(models.reduce((sum, row) => sum + (row.costMicroUsd ?? 0), 0));
  });

  test('gets another survey from a model that chooses other files, in a folder of its choosing', async () => {
    const chosen = place.files.slice(3, 5);
    behave = (step) => playSurveyStep(step, chosen);
    const output = join(place.folder, 'elsewhere');
    const result = await survey('--output', output);
    expect(result).toMatchObject({ code: 0, stdout: `${join(output, 'survey.md')}\n` });
    const headings = readFileSync(join(output, 'survey.md'), 'utf8').match(/^## .*$/gm);
    expect(headings).toEqual(chosen.map((file) => `## ${file.replace('/input/', '')}`));
  });

  test('is told in one sentence that a folder is missing, and nothing starts', async () => {
    const result = await place.cli('fleet', 'run', 'survey', '--input', `path=${join(place.folder, 'nowhere')}`);
    expect(result.code).toBe(1);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    expect(result.stderr).toContain('nowhere');
  });

  test('cancels a run: calls under way are given up, and nothing is called after', async () => {
    let left = 0;
    let held = 0;
    behave = async (step, request) => {
      if (step.role !== 'reader') return playSurveyStep(step, place.files);
      held += 1;
      await request.left;
      left += 1;
      return { status: 500 };
    };
    const id = await place.launch();
    await pollUntil(() => held >= 2 || undefined, 'readers at work', 60_000);
    expect((await place.cli('fleet', 'cancel', id)).code).toBe(0);
    const run = await place.ended(id);
    expect(run.state).toBe('cancelled');
    await pollUntil(() => left >= held || undefined, 'calls to be given up', 30_000);
    const asked = place.model.requests.length;
    expect(run.agents.every((agent) => ['done', 'cancelled'].includes(agent.state))).toBe(true);
    expect(place.model.requests.length).toBe(asked);
  });
});

describe('a model that misbehaves', () => {
  test.each<[string, ScriptedAnswer]>([
    ['prose', 'I think the file is nice.'],
    ['cut JSON', { text: '{"path":"/input/src/file-3.ts","purp', finishReason: 'length' }],
    ['an unknown tool', { toolCalls: [{ name: 'delete_everything', arguments: {} }] }],
  ])('that answers %s is asked again twice, then its agent is parked; the fleet goes on and ends as partial', async (_what, bad) => {
    let asked = 0;
    behave = (step) => {
      if (step.role !== 'reader' || step.task.path !== '/input/src/file-3.ts') return playSurveyStep(step, place.files.slice(0, 5));
      if (step.results === 0) return playSurveyStep(step, place.files);
      asked += 1;
      return bad;
    };
    const result = await survey('-o', 'json');
    expect(result.code).toBe(7);
    expect(asked).toBe(3);
    const run = JSON.parse(result.stdout);
    expect(run.state).toBe('partial');
    const parked = run.agents.filter((agent: { state: string }) => agent.state === 'parked');
    expect(parked).toMatchObject([{ role: 'reader', reason: 'answer_invalid' }]);
    const text = readFileSync(run.result, 'utf8');
    expect(text.match(/^## src/gm)).toHaveLength(4);
    expect(text).toContain('src/file-3.ts');
  });

  test('is repaired when it does better the second time', async () => {
    const bad = new Set<string>();
    behave = (step) => {
      if (step.role !== 'reader' || step.results === 0 || bad.has(step.task.path ?? ''))
        return playSurveyStep(step, place.files.slice(0, 3));
      bad.add(step.task.path ?? '');
      return 'Sure! Here is the card.';
    };
    expect((await survey()).code).toBe(0);
    expect(bad.size).toBe(3);
  });

  test.each([
    '/input/src/../src/file-1.ts',
    '/input//src/file-1.ts',
    '/input/src/%2e%2e/src/file-1.ts',
    '/input/src/file-2.ts',
    '/input/src/link.ts',
    '/etc/passwd',
  ])('that reads %s for another file is refused, recorded, and gets nothing of it', async (path) => {
    const outside = join(place.folder, 'outside.txt');
    writeFileSync(outside, 'OUTSIDE');
    try {
      symlinkSync(outside, join(place.input, 'src/link.ts'));
    } catch {
      // an earlier row of the table made it
    }
    const seen: string[] = [];
    behave = (step, request) => {
      seen.push(JSON.stringify(request.body.messages.filter((message: { role: string }) => message.role === 'tool')));
      if (step.role === 'reader' && step.results < 3) return { toolCalls: [{ name: 'read_text_file', arguments: { path } }] };
      return playSurveyStep(step, ['/input/src/file-1.ts']);
    };
    const result = await survey('-o', 'json');
    const run = JSON.parse(result.stdout);
    expect(run.agents.find((agent: { role: string }) => agent.role === 'reader')).toMatchObject({
      state: 'parked',
      reason: 'tool_refused',
    });
    const rows = await place.audit(`run=${run.id}&tool=read_text_file`);
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows)
      expect(row).toMatchObject({ kind: 'refusal', decision: 'deny', errorCode: 'argument_refused', outcome: 'refused' });
    expect(seen.join('\n')).not.toContain(`${planted} 2`);
    expect(seen.join('\n')).not.toContain('OUTSIDE');
    expect(seen.join('\n')).not.toContain('root:');
  });

  test('that calls a tool its role was not granted finds no such tool, and that is recorded', async () => {
    behave = (step) => {
      if (step.role === 'reader') return { toolCalls: [{ name: 'write_file', arguments: { path: '/output/x', content: 'x' } }] };
      return playSurveyStep(step, ['/input/src/file-1.ts']);
    };
    const run = JSON.parse((await survey('-o', 'json')).stdout);
    expect(run.agents.find((agent: { role: string }) => agent.role === 'reader').state).toBe('parked');
    expect(readdirSync(run.outputDirectory)).not.toContain('x');
  });
});

describe('limits', () => {
  test('park an agent that has used up its steps; with more of them it goes on after its fleet has ended', async () => {
    const files = place.files.slice(0, 2);
    let isTalkative = true;
    behave = (step) => {
      if (isTalkative && step.role === 'reader' && step.task.path === files[1])
        return { toolCalls: [{ name: 'read_text_file', arguments: { path: step.task.path } }] };
      return playSurveyStep(step, files);
    };
    const first = JSON.parse((await survey('-o', 'json')).stdout);
    expect(first.state).toBe('partial');
    const parked = first.agents.find((agent: { state: string }) => agent.state === 'parked');
    expect(parked.reason).toMatch(/^limit_(steps|calls)$/);
    isTalkative = false;
    const resumed = await place.cli('fleet', 'resume', first.id, '--add-steps', '5', '--add-calls', '5', '-o', 'json');
    expect(resumed.code).toBe(0);
    const run = await place.ended(first.id);
    expect(run).toMatchObject({ state: 'succeeded' });
    expect(place.survey(run).match(/^## src/gm)).toHaveLength(2);
  });
});

test('nothing of what was read, no token and no key is in the histories, the logs, the audit or the process list', async () => {
  const result = await survey();
  expect(result.code).toBe(0);
  const ready = place.ready();
  const temporal = findTemporal() ?? 'temporal';
  const ask = (...args: string[]): string =>
    execFileSync(temporal, ['workflow', ...args, '--address', ready.temporalAddress, '-o', 'json'], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
  const workflows: { execution: { workflowId: string } }[] = JSON.parse(ask('list', '--limit', '1000'));
  const run = runIdOf(result.stderr);
  const ids = [...new Set(workflows.map(({ execution }) => execution.workflowId))].filter((id) => id.includes(run));
  expect(ids.length).toBeGreaterThan(place.files.length);
  // payloads are base64 in JSON; both forms are searched
  const histories = ids.map((id) => ask('show', '--workflow-id', id)).join('\n');
  const decoded = [...histories.matchAll(/"data":\s*"([A-Za-z0-9+/=]+)"/g)]
    .map(([, data]) => Buffer.from(data ?? '', 'base64').toString())
    .join('\n');
  const logs = readdirSync(join(place.data, 'logs'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');
  const audit = JSON.stringify(await place.audit(''));
  const processes = execFileSync('ps', ['axeww'], { encoding: 'utf8', maxBuffer: 1 << 26 });
  const keys = readdirSync(join(place.data, 'keys')).flatMap((name) => {
    const text = readFileSync(join(place.data, 'keys', name), 'utf8').trim();
    return text.startsWith('{') || text.startsWith('[')
      ? (JSON.stringify(JSON.parse(text)).match(/"[A-Za-z0-9_\-+/=]{32,}"/g) ?? []).map((value) => value.slice(1, -1))
      : [text];
  });
  const secrets = [planted, ready.adminToken ?? '', ready.reviewerToken ?? '', ...keys];
  for (const [where, text] of Object.entries({ histories, decoded, logs, audit, processes })) {
    for (const secret of secrets) expect(text.includes(secret), `${secret.slice(0, 4)}… in ${where}`).toBe(false);
    expect(/eyJ[A-Za-z0-9_-]{10,}\.eyJ/.test(text), `a token in ${where}`).toBe(false);
  }
  expect(decoded).toContain('hmac-sha256:');
});
