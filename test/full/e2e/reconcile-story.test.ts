import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { AuditEvent } from '../../../schema/audit-event.ts';
import { type KubeCluster, startKubeCluster, writesIn } from '../../support/kube-cluster.ts';
import { matchClusterAudit } from '../../support/match-cluster-audit.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { runCli } from '../../support/run-cli.ts';
import { createPlatformPlace, type PlatformPlace } from '../../support/running-platform.ts';

/** Images by their digests, as the last good ones are known by; of the second the program needs more memory than it is given. */
const good = `registry.test/github-mcp@sha256:${'a'.repeat(64)}`;
const hungry = `registry.test/slack-mcp@sha256:${'b'.repeat(64)}`;
const images: Record<string, { port: number; memoryMi: number }> = {
  'registry.test/github-mcp:1.4': { port: 8080, memoryMi: 64 },
  'registry.test/slack-mcp:2.0': { port: 8080, memoryMi: 64 },
  'registry.test/files-mcp:3.1': { port: 8080, memoryMi: 64 },
  [good]: { port: 8080, memoryMi: 64 },
  [hungry]: { port: 8080, memoryMi: 512 },
};

const server = (name: string, image: string) => ({
  ...{ apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name } },
  spec: {
    replicas: 1,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        containers: [
          {
            ...{ name: 'server', image, ports: [{ containerPort: 8080 }], resources: { limits: { memory: '128Mi', cpu: '500m' } } },
            readinessProbe: { tcpSocket: { port: 8080 } },
          },
        ],
      },
    },
  },
});

/** A model that has read the evidence and knows one thing: which image was good last. It answers as any provider does. */
const startMechanic = async () => {
  let asked = 0;
  const provider = createServer(async (request, response) => {
    const { messages } = (await json(request)) as { messages: unknown };
    const told = JSON.stringify(messages);
    asked += 1;
    const name = /Deployment\/mcp\/(github-mcp|slack-mcp)|\\?"name\\?":\s*\\?"(github-mcp|slack-mcp)/.exec(told);
    const broken =
      told.includes('slack-mcp:2.0\\\\\\": not found') || (name?.[1] ?? name?.[2]) === 'slack-mcp' ? 'slack-mcp' : 'github-mcp';
    const object = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'mcp', name: broken };
    const content = JSON.stringify({
      diagnosis: `The tag that ${broken} is declared with is gone from the registry; its pods cannot pull it. The last image that ran is known by its digest.`,
      confidence: 0.9,
      operations: [{ op: 'setImage', object, container: 'server', image: broken === 'slack-mcp' ? hungry : good }],
    });
    const usage = { prompt_tokens: Math.ceil(told.length / 4), completion_tokens: 120 };
    response.writeHead(200, { 'content-type': 'application/json' }).end(
      JSON.stringify({
        ...{ id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'mechanic' },
        choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }],
        usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens },
      }),
    );
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => provider.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(provider.address() as AddressInfo).port}/v1`,
    asked: () => asked,
    close: () => {
      provider.close();
      provider.closeAllConnections();
    },
  };
};

let cluster: KubeCluster;
let mechanic: Awaited<ReturnType<typeof startMechanic>>;
let place: PlatformPlace;

beforeAll(async () => {
  cluster = await startKubeCluster(images);
  await cluster.openNamespace('mcp');
  mechanic = await startMechanic();
  place = await createPlatformPlace();
}, 180_000);
afterAll(async () => {
  place?.close();
  mechanic?.close();
  await cluster?.close();
});

const resource = (kind: string, name: string, spec: object) =>
  stringify({ apiVersion: 'quarterdeck.dev/v1alpha1', kind, metadata: { name }, spec });
const declared = (kubeconfig: string): string =>
  [
    resource('Provider', 'mechanic', { kind: 'openai-compatible', baseUrl: mechanic.url }),
    resource('Model', 'mechanic', {
      ...{ contextTokens: 128_000, maxOutputTokens: 2000 },
      routes: [{ provider: 'mechanic', model: 'mechanic', price: { inputMicroUsdPerMillion: 100_000, outputMicroUsdPerMillion: 400_000 } }],
    }),
    resource('AgentRole', 'mechanic', {
      ...{ instructions: 'Find out what is wrong, and propose as little as mends it.', model: 'mechanic' },
      ...{ limits: { steps: 6, tokens: 1_000_000 }, output: { type: 'object' } },
    }),
    resource('AccessBinding', 'mechanic', { subjects: [{ agentRole: 'mechanic' }], models: ['mechanic'] }),
    resource('AccessBinding', 'declares', { subjects: [{ person: 'admin' }], agentRoles: ['mechanic'], models: ['mechanic'] }),
    resource('ReconcileTarget', 'mcp-servers', {
      ...{ type: 'kubernetes', cluster: { kubeconfig: { file: kubeconfig } }, namespace: 'mcp', intervalSeconds: 5 },
      manifests: [
        server('github-mcp', 'registry.test/github-mcp:1.4'),
        server('slack-mcp', 'registry.test/slack-mcp:2.0'),
        server('files-mcp', 'registry.test/files-mcp:3.1'),
      ],
      ...{ escalation: { role: 'mechanic' }, verification: { timeoutSeconds: 20, holdSeconds: 2 }, contact: '#mcp-ops' },
      limits: { cooldownSeconds: 1, failuresBeforeBlock: 1 },
    }),
  ].join('---\n');

type Seen = { phase: string; approvalId: string | null; message: string };
const qd = (...args: string[]) => runCli([...args, '--data', place.data]);
const shownTo = (what: string, { stdout, stderr }: { stdout: string; stderr: string }) =>
  console.log(`$ quarterdeck ${what}\n${stdout}${stderr}`);
const seen = async (): Promise<Seen> => {
  const { stdout, stderr } = await qd('reconcile', 'status', 'mcp-servers', '-o', 'json');
  if (!stdout) throw new Error(stderr);
  return JSON.parse(stdout).targets[0];
};
const untilSeen = (isSo: (target: Seen) => boolean, what: string) =>
  pollUntil(
    async () => {
      const target = await seen();
      return isSo(target) ? target : undefined;
    },
    what,
    150_000,
  );
const imageOf = async (name: string): Promise<string> =>
  (await cluster.send('GET', `/apis/apps/v1/namespaces/mcp/deployments/${name}`)).spec.template.spec.containers[0].image;
/** A tag goes from the registry, and a pod is made anew that has to pull it. */
const loseTag = async (name: string, tag: string): Promise<void> => {
  delete images[`registry.test/${name}:${tag}`];
  await cluster.send('DELETE', `/api/v1/namespaces/mcp/pods?labelSelector=app%3D${name}`);
};
const history = async () => JSON.parse((await qd('reconcile', 'history', 'mcp-servers', '-o', 'json')).stdout).fixes;

test('three servers are kept; what no rule knows is diagnosed, read, approved, applied, verified and recorded; what does not help is undone', async () => {
  const platform = await place.start(['--profile', 'dev']);
  const file = join(place.folder, 'servers.yaml');
  writeFileSync(file, declared(cluster.reconcilerKubeconfig('story.kubeconfig')));
  const applied = await qd('apply', '-f', file);
  expect(applied.code, applied.stderr).toBe(0);

  // what is declared and not there is made by a rule, without a model
  await untilSeen(({ phase }) => phase === 'clean', 'all three to be there');
  expect(mechanic.asked()).toBe(0);
  expect((await qd('reconcile', 'status')).code).toBe(0);

  // deleted by hand: made again by a rule
  const deletedAt = Date.now();
  await cluster.send('DELETE', '/apis/apps/v1/namespaces/mcp/deployments/files-mcp');
  await pollUntil(
    async () => ((await imageOf('files-mcp').catch(() => undefined)) ? true : undefined),
    'the Deployment to be made again',
    60_000,
  );
  await untilSeen(({ phase }) => phase === 'clean', 'it to be well again');
  expect(mechanic.asked()).toBe(0);

  // seen and mended within two intervals
  const [remade] = writesIn(cluster.audit()).filter(
    ({ objectRef, requestReceivedTimestamp }) => objectRef?.name === 'files-mcp' && Date.parse(requestReceivedTimestamp) >= deletedAt,
  );
  expect(Date.parse(remade?.requestReceivedTimestamp ?? '') - deletedAt).toBeLessThan(2 * 5000);

  // somebody deletes a tag from the registry, which no rule knows about
  const writesBefore = writesIn(cluster.audit()).length;
  await loseTag('github-mcp', '1.4');
  const { approvalId } = await untilSeen(({ phase }) => phase === 'awaiting-approval', 'a person to be asked');
  expect((await qd('reconcile', 'status')).code).toBe(3);
  shownTo('reconcile status', await qd('reconcile', 'status'));
  expect(await imageOf('github-mcp'), 'nothing is changed before somebody has looked').toBe('registry.test/github-mcp:1.4');
  expect(writesIn(cluster.audit()).length, 'a diagnosis writes nothing').toBe(writesBefore);
  expect((await qd('approvals', 'ls', '-o', 'name', '--as', 'reviewer')).stdout).toBe(`${approvalId}\n`);
  const shown = await qd('approvals', 'show', approvalId ?? '', '--as', 'reviewer');
  shownTo(`approvals show ${approvalId} --as reviewer`, shown);
  expect(shown.stdout).toContain(`1. setImage Deployment/mcp/github-mcp image="${good}" container="server"`);
  expect(shown.stdout).toMatch(/dry-run: \/spec\/template\/spec\/containers\/0\/image: "registry\.test\/github-mcp:1\.4" -> /);
  expect(shown.stdout).toContain('undo:    the object is put back as it was before');
  expect((await qd('approvals', 'show', approvalId ?? '', '--as', 'reviewer', '--evidence')).stdout).toContain('ImagePullBackOff');
  expect((await qd('approvals', 'approve', approvalId ?? '', '--yes')).code, 'not by who declared it').toBe(4);
  const digest = /digest {4}([0-9a-f]{64})/.exec(shown.stdout)?.[1] ?? '';
  const approved = await qd('approvals', 'approve', approvalId ?? '', '--as', 'reviewer', '--digest', digest);
  shownTo(`approvals approve ${approvalId} --as reviewer --digest ${digest.slice(0, 12)}`, approved);
  expect(approved.code).toBe(0);
  await untilSeen(({ phase }) => phase === 'clean', 'the fix to be verified');
  expect(await imageOf('github-mcp')).toBe(good);
  const [fixed] = await history();
  expect(fixed).toMatchObject({ state: 'fixed', planDigest: digest, approvalId, modelCalls: 1 });
  expect(fixed.steps).toMatchObject([{ direction: 'do', outcome: { kind: 'applied' } }]);
  shownTo('reconcile history mcp-servers --limit 1', await qd('reconcile', 'history', 'mcp-servers', '--limit', '1'));
  const explained = await qd('reconcile', 'explain', 'mcp-servers');
  shownTo('reconcile explain mcp-servers', explained);
  expect(explained.stdout).toContain('is other than declared');

  // and another, of which the last good image is a bad one: it helps nothing, and is undone
  await loseTag('slack-mcp', '2.0');
  const second = await untilSeen(
    (target) => target.phase === 'awaiting-approval' && target.approvalId !== approvalId,
    'a person to be asked again',
  );
  expect((await qd('approvals', 'approve', second.approvalId ?? '', '--as', 'reviewer', '--yes')).code).toBe(0);
  // biome-ignore lint/suspicious/noExplicitAny: looked at field by field
  const undone: any = await pollUntil(
    async () => {
      const fixes: { approvalId: string; endedAt: string | null }[] = await history();
      return fixes.find((fix) => fix.approvalId === second.approvalId && fix.endedAt !== null);
    },
    'the fix to be undone',
    150_000,
  );
  shownTo('reconcile history mcp-servers --limit 2', await qd('reconcile', 'history', 'mcp-servers', '--limit', '2'));
  expect(['ineffective', 'rolled-back']).toContain(undone.state);
  expect(undone.steps).toMatchObject([
    { direction: 'do', outcome: { kind: 'applied' } },
    { direction: 'undo', outcome: { kind: 'applied' } },
  ]);
  expect(undone.steps[1].afterHash, 'exactly as it was').toBe(undone.steps[0].beforeHash);
  expect(await imageOf('slack-mcp')).toBe('registry.test/slack-mcp:2.0');
  const item = await qd('approvals', 'show', second.approvalId ?? '', '--as', 'reviewer');
  expect(item.stdout, 'the item says what came of it').toMatch(/^ {2}became {4}(ineffective|rolled-back) at 20\S+Z: .*It was undone\./m);

  // each write of the cluster's own journal is a step of a fix on record, and no step on record is unknown to the cluster
  const writes = writesIn(cluster.audit()).filter(({ responseStatus }) => responseStatus.code < 300);
  const events: AuditEvent[] = JSON.parse((await qd('audit', 'query', '-o', 'json', '--limit', '10000')).stdout).events;
  expect(writes.length).toBeGreaterThan(5);
  expect(matchClusterAudit(writes, events)).toEqual({ unrecorded: [], unseen: [] });
  // a write without its row would be seen
  const [lost] = events.filter(({ action, kind, facts }) => action === 'applyFix' && kind === 'intent' && facts.operation === 'setImage');
  const without = events.filter(({ operationId, action }) => action !== 'applyFix' || operationId !== lost?.operationId);
  expect(matchClusterAudit(writes, without).unrecorded).toHaveLength(1);
  // of each: why, on what evidence, by which policies and plan, and how it was before and after; of what people approved also who
  const outcomes = events.filter(({ action, kind }) => action === 'applyFix' && kind === 'outcome');
  for (const { decisionId, policyVersion, facts, agent } of outcomes) {
    expect({ decisionId, policyVersion, agent }).toEqual({
      ...{ decisionId: expect.stringMatching(/^dec_/), policyVersion: expect.stringMatching(/^[0-9a-f]{16}$/) },
      agent: 'reconcile/default/default/mcp-servers',
    });
    expect(facts.plan).toMatch(/^[0-9a-f]{64}$/);
    expect(facts.fault, 'what it was done for').toMatch(/^(missing|changed|unhealthy) /);
    if (facts.direction === 'undo') expect(facts.before, 'also of what is taken back').toMatch(/^[0-9a-f]{64}$/);
    if (facts.became === 'applied') expect(facts.after).toMatch(/^[0-9a-f]{64}$/);
    if (facts.operation === 'setImage') {
      expect(facts).toMatchObject({
        source: 'model',
        evidence: expect.stringMatching(/./),
        before: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      const used = events.find(({ action, operationId }) => action === 'useApproval' && operationId === facts.fix);
      expect(used?.facts).toMatchObject({ digest: facts.plan, people: ['reviewer'] });
      const said = events.filter(
        ({ action, person, facts: of }) => action === 'approve' && person === 'reviewer' && of.digest === facts.plan,
      );
      expect(said, 'who said yes, to these bytes').toMatchObject([{ resource: expect.stringMatching(/^Approval\/apr_/) }]);
    } else if (facts.direction === 'do') expect(facts.rule).toMatch(/./);
  }
  const actions = new Set(events.map(({ action }) => action));
  for (const action of ['askApproval', 'seeApproval', 'approve', 'useApproval', 'applyFix']) expect(actions).toContain(action);
  expect((await qd('audit', 'verify')).code).toBe(0);
  // whoever has the database and changes what one write was, or takes its row out, is found out
  const intruder = new pg.Client({ connectionString: platform.ready.databaseUrl });
  await intruder.connect();
  await intruder.query('set session_replication_role = replica');
  const { sequence = 0 } = outcomes.find(({ facts }) => facts.operation === 'setImage') ?? {};
  await intruder.query('create table kept as select * from audit_events where sequence = $1', [sequence]);
  await intruder.query(`update audit_events set facts = facts || '{"operation": "restart"}' where sequence = $1`, [sequence]);
  const changed = await qd('audit', 'verify');
  shownTo('audit verify', changed);
  expect([changed.code, `${changed.stdout}${changed.stderr}`]).toEqual([expect.any(Number), expect.stringContaining(String(sequence))]);
  expect(changed.code).not.toBe(0);
  await intruder.query('delete from audit_events where sequence = $1', [sequence]);
  expect((await qd('audit', 'verify')).code).not.toBe(0);
  await intruder.query('insert into audit_events select * from kept');
  expect((await qd('audit', 'verify')).code).toBe(0);
  await intruder.end();
  platform.child.kill('SIGTERM');
  await platform.ended;
}, 600_000);
