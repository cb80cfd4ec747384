import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { propose } from '../support/diagnosis-place.ts';
import { type FixPeoplePlace, type Somebody, startFixPeoplePlace } from '../support/fix-people-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { deploymentManifest, deploymentRef } from '../support/reconcile-place.ts';

// seven fixes from the drift to the verification, on a machine that may be busy
vi.setConfig({ testTimeout: 600_000, hookTimeout: 150_000 });
let people: FixPeoplePlace;
beforeAll(async () => {
  people = await startFixPeoplePlace();
});
afterAll(() => people.close());

test('five approvals by two people on three targets make a draft with tests; it does nothing until another person has reviewed it, then mends without a model, and its first fix that does not hold takes it back', async () => {
  const { loop, qd, diagnosis } = people;
  const hanging = new Set<string>();
  const hopeless = new Set<string>();
  loop.world.judgeBy(({ name }, state) =>
    (hanging.has(name) && state.spec.replicas !== 1) || hopeless.has(name)
      ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: 'it hangs', count: 1 }] }
      : { health: 'healthy', symptoms: [] },
  );
  const targets: Record<string, string[]> = {
    [loop.newName()]: ['one-a', 'one-b'],
    [loop.newName()]: ['two-a', 'two-b'],
    [loop.newName()]: ['three-a', 'three-b', 'three-c', 'three-d'],
  };
  for (const [target, names] of Object.entries(targets))
    await loop.declare(target, { manifests: names.map((name) => deploymentManifest(name)), escalation: { role: 'diagnoser' } });
  const targetOf = (name: string): string => Object.entries(targets).find(([, names]) => names.includes(name))?.[0] ?? '';
  const fixOf = async (name: string) =>
    (await loop.fixesOf(targetOf(name))).find(({ fingerprint }) => fingerprint.endsWith(`Deployment/shop/${name}`));
  const ended = (name: string) =>
    pollUntil(
      async () => {
        const fix = await fixOf(name);
        return fix?.endedAt ? fix : undefined;
      },
      `the fix of ${name} to end`,
      90_000,
    );
  /** A thing hangs, the model proposes, a person looks and approves by the command line, and it holds. */
  const mend = async (name: string, person: Somebody): Promise<void> => {
    hanging.add(name);
    diagnosis.script.answer = () =>
      propose({ diagnosis: 'One too many.', confidence: 0.9, operations: [{ op: 'scale', object: deploymentRef(name), replicas: 1 }] });
    await loop.start(targetOf(name));
    const approvalId = await pollUntil(async () => (await fixOf(name))?.approvalId ?? undefined, `an approval for ${name}`, 90_000);
    const shown = await qd(['approvals', 'show', approvalId], person);
    const digest = /digest {4}([0-9a-f]{64})/.exec(shown.stdout)?.[1] ?? '';
    const approved = await qd(['approvals', 'approve', approvalId, '--digest', digest], person);
    expect(approved.code, approved.stderr).toBe(0);
    expect(await ended(name)).toMatchObject({ state: 'fixed', modelCalls: 1 });
  };
  const learned = async (): Promise<
    { name: string; spec: { state: string; tests: object[]; demotedBy?: string }; digest: string; red: string[] }[]
  > =>
    JSON.parse((await qd(['reconcile', 'rules', 'ls', '-o', 'json'])).stdout).rules.filter(
      ({ origin }: { origin: string }) => origin === 'learned',
    );

  await mend('one-a', 'rita');
  await mend('one-b', 'rita');
  await mend('two-a', 'rob');
  await mend('two-b', 'rita');
  expect(await learned(), 'four fixes on two targets teach nothing').toEqual([]);
  await mend('three-a', 'rob');
  const [draft] = await pollUntil(async () => {
    const found = await learned();
    return found.length > 0 ? found : undefined;
  }, 'a draft');
  expect(draft).toMatchObject({ spec: { state: 'draft' }, red: [] });
  expect(draft?.spec.tests.length).toBe(6); // what was approved five times, and what it leaves alone
  const name = draft?.name ?? '';
  const shown = await qd(['reconcile', 'rules', 'show', name]);
  for (const part of [
    'draft',
    'match       drift.faultKind == "unhealthy Deployment Stuck"',
    'op: scale',
    'learned of  fix_',
    '6 of 6 hold',
  ])
    expect(shown.stdout).toContain(part);

  // a draft does nothing: a person is asked as before
  await mend('three-b', 'rita');
  const refused = await qd(['reconcile', 'rules', 'promote', name, '--digest', draft?.digest ?? '', '--yes'], 'guest');
  expect(refused.code).toBe(4);
  const stale = await qd(['reconcile', 'rules', 'promote', name, '--digest', 'a'.repeat(64), '--yes'], 'admin');
  expect([stale.code, stale.stderr]).toEqual([1, expect.stringContaining('has changed since you looked')]);
  const promoted = await qd(['reconcile', 'rules', 'promote', name, '--digest', draft?.digest ?? '', '--yes'], 'admin');
  expect(promoted, promoted.stderr).toMatchObject({ code: 0, stdout: `${name} is live\n` });

  // live: no model, nobody is asked
  const calls = diagnosis.model.requests.length;
  hanging.add('three-c');
  await loop.start(targetOf('three-c'));
  expect(await ended('three-c')).toMatchObject({
    state: 'fixed',
    modelCalls: 0,
    approvalId: null,
    plan: { source: { kind: 'rule', rule: name } },
  });
  expect(diagnosis.model.requests.length).toBe(calls);

  // the first that does not hold is undone, and is the last
  diagnosis.script.answer = () => ({ text: 'I do not know.' });
  hopeless.add('three-d');
  await loop.start(targetOf('three-d'));
  const failed = await pollUntil(
    async () => (await loop.fixesOf(targetOf('three-d'))).find(({ state }) => state === 'ineffective'),
    'a fix without effect',
    90_000,
  );
  expect(failed.plan?.source).toEqual({ kind: 'rule', rule: name });
  expect(loop.worldState('three-d').spec.replicas).toBe(2);
  const [demoted] = await learned();
  expect(demoted?.spec).toMatchObject({ state: 'demoted', demotedBy: expect.stringContaining(failed.id) });
  expect((await qd(['reconcile', 'rules', 'show', name])).stdout).toContain('demoted');
  const told = await people.audited({ action: 'learnRule' });
  expect(told.map(({ facts }) => facts.change).sort()).toEqual(['demoted', 'drafted']);
});
