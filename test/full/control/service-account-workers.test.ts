import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRunTokens } from '../../../activities/run-tokens.ts';
import { createFileProofs } from '../../../activities/worker-proof.ts';
import { WorkerTrustSchema, workerProofTypes } from '../../../schema/worker-proof.ts';
import { type KubeApiServer, startKubeApiServer } from '../../support/kube-api-server.ts';
import { pollUntil } from '../../support/poll-until.ts';
import { agentId, type RunningIssuer, startRunningIssuer, toolsetUrl } from '../../support/running-issuer.ts';

let kube: KubeApiServer;
let issuer: RunningIssuer;
let folder: string;
// biome-ignore lint/suspicious/noExplicitAny: an object of Kubernetes
let pod: any;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quarterdeck-workers-'));
  kube = await startKubeApiServer();
  const { apiUrl, caFile, tokenFile } = kube;
  const serviceAccounts = [
    { namespace: 'default', name: 'worker' },
    { namespace: 'default', name: 'narrow-worker', fleet: 'other' },
  ];
  issuer = await startRunningIssuer({ workers: WorkerTrustSchema.parse({ kubernetes: { apiUrl, caFile, tokenFile, serviceAccounts } }) });
  for (const name of ['worker', 'narrow-worker', 'stranger']) await kube.addServiceAccount('default', name);
  pod = await kube.addPod('default', 'worker-0', 'worker');
});
afterAll(async () => {
  await issuer?.close();
  await kube?.close();
  rmSync(folder, { recursive: true, force: true });
});

const audience = () => [`${issuer.issuerUrl}/token`];
const ask = (actor_token: string) => issuer.exchange({ actor_token, actor_token_type: workerProofTypes.kubernetes });
const unknown = { status: 400, body: { error: 'invalid_client' } };

test('a worker in a pod gets a token of its agent by its projected service-account token, read from the file that the kubelet renews', async () => {
  const file = join(folder, 'token');
  writeFileSync(file, await kube.tokenFor('default', 'worker', audience(), pod));
  const tokens = createRunTokens({ issuerUrl: issuer.issuerUrl, proofs: createFileProofs({ kind: 'kubernetes', file }) });
  await expect(tokens.tokenFor(agentId, toolsetUrl, AbortSignal.timeout(10_000))).resolves.toMatch(/^ey/);
  expect(issuer.logLines.join()).toContain('serviceaccount/default/worker/worker-0');
});

test('a token for somebody else, of an account that is not listed, of no pod, changed, or of nobody is refused', async () => {
  const [narrow, stranger] = [
    await kube.addPod('default', 'narrow-0', 'narrow-worker'),
    await kube.addPod('default', 'stranger-0', 'stranger'),
  ];
  expect(await ask(await kube.tokenFor('default', 'worker', ['https://kubernetes.default.svc'], pod))).toMatchObject(unknown);
  expect(await ask(await kube.tokenFor('default', 'worker', [issuer.issuerUrl], pod))).toMatchObject(unknown);
  expect(await ask(await kube.tokenFor('default', 'worker', audience()))).toMatchObject(unknown);
  expect(await ask(await kube.tokenFor('default', 'stranger', audience(), stranger))).toMatchObject(unknown);
  const good = await kube.tokenFor('default', 'worker', audience(), pod);
  const [head, , signature] = good.split('.');
  const [, claims] = (await kube.tokenFor('default', 'stranger', audience(), stranger)).split('.');
  expect(await ask([head, claims, signature].join('.'))).toMatchObject(unknown);
  expect(await ask('token-of-the-administrator')).toMatchObject(unknown);
  // known, but for the agents of another fleet
  expect(await ask(await kube.tokenFor('default', 'narrow-worker', audience(), narrow))).toMatchObject({
    body: { error: 'invalid_grant' },
  });
  expect((await ask(good)).status).toBe(200);
});

test('while the API server is away nobody gets in, and the worker is told to try again; afterwards it goes on', async () => {
  const token = await kube.tokenFor('default', 'worker', audience(), pod);
  await kube.stop();
  expect((await ask(token)).status).toBe(503);
  await kube.restart();
  expect((await ask(token)).status).toBe(200);
});

test('a token dies with its pod, though it has not expired, within the ten seconds that an API server remembers; a pod of the same name does not bring it back', async () => {
  const token = await kube.tokenFor('default', 'worker', audience(), pod);
  expect((await ask(token)).status).toBe(200);
  await kube.removePod('default', 'worker-0');
  await pollUntil(async () => (await ask(token)).status === 400 || undefined, 'the token to die');
  const next = await kube.addPod('default', 'worker-0', 'worker');
  expect(await ask(token)).toMatchObject(unknown);
  expect((await ask(await kube.tokenFor('default', 'worker', audience(), next))).status).toBe(200);
});
