import { Webhook } from 'standardwebhooks';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { canonicalText } from '../../reconcile/canonical-text.ts';
import { approvalDecidedSignal } from '../../schema/workflow-contract.ts';
import { getApproval } from '../../store/approvals.ts';
import { digestOfText } from '../../store/exact-call.ts';
import { listSteps } from '../../store/reconcile-steps.ts';
import { runOut } from '../support/ask-approval.ts';
import { propose } from '../support/diagnosis-place.ts';
import { type FixPeoplePlace, startFixPeoplePlace, tokens, webhookSecret } from '../support/fix-people-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { deploymentManifest, deploymentRef } from '../support/reconcile-place.ts';

// a story of many processes and activities, on a machine that may be busy
vi.setConfig({ testTimeout: 150_000, hookTimeout: 150_000 });
let people: FixPeoplePlace;
beforeAll(async () => {
  people = await startFixPeoplePlace();
});
afterAll(() => people.close());

const place = { org: 'default', project: 'default' };
const manifests = ['web', 'a', 'b', 'c'].map((name) => deploymentManifest(name));
const proposal = (object = deploymentRef(), replicas = 1) => ({
  ...{ diagnosis: 'It hangs: two of it are one too many.', confidence: 0.9 },
  operations: [{ op: 'scale', object, replicas }],
});
/** Things of a name hang as long as there are two of them. */
const hang = (...names: string[]): void =>
  people.loop.world.judgeBy(({ name }, state) =>
    names.includes(name) && state.spec.replicas !== 1
      ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: 'it hangs', count: 1 }] }
      : { health: 'healthy', symptoms: [] },
  );
beforeEach(() => {
  const { loop, diagnosis } = people;
  for (const { ref } of loop.world.list()) loop.world.remove(ref);
  loop.world.effects.length = 0;
  hang('web');
  diagnosis.script.answer = () => propose(proposal());
});
afterEach(async () => {
  people.loop.time.offsetMs = 0;
  await people.loop.stop();
});

const declare = async (more: object = {}): Promise<string> => {
  const name = people.loop.newName();
  await people.loop.declare(name, {
    manifests,
    escalation: { role: 'diagnoser' },
    channels: people.channels,
    contact: 'the desk, 555',
    ...more,
  });
  return name;
};
const histories = async (name: string) => (await people.loop.history(name)).length;
/** Waits until its workflow does nothing but wait. */
const settled = (name: string): Promise<true> => {
  let before = 0;
  return pollUntil(
    async () => {
      const now = await histories(name);
      const isSame = now === before;
      before = now;
      if (!isSame) await new Promise((resolve) => setTimeout(resolve, 700));
      return isSame || undefined;
    },
    `the workflow of ${name} to wait`,
    30_000,
  );
};
/** A target whose fix waits for people. */
const asked = async (more: object = {}) => {
  const name = await declare(more);
  await people.loop.start(name);
  const approval = await people.loop.waiting(name);
  await settled(name);
  return { name, approval, id: approval.id };
};
const until = (name: string, state: string) =>
  pollUntil(async () => (await people.loop.fixesOf(name)).find((fix) => fix.state === state), `${name}: ${state}`, 60_000);
/** The approval that is asked for after another, whatever became of that. */
const nextAfter = (name: string, earlier: string | null) =>
  pollUntil(
    async () => {
      const open = (await people.loop.fixesOf(name)).find(
        ({ state, approvalId }) => state === 'awaiting-approval' && approvalId !== earlier,
      );
      return open?.approvalId ? getApproval(people.database, { ...place, id: open.approvalId }) : undefined;
    },
    `another approval of ${name}`,
    60_000,
  );
const stateOf = async (id: string) => (await getApproval(people.database, { ...place, id })).state;
const told = (id: string, event: string) =>
  people.receiver.requests.filter(({ body }) => body.includes(id) && body.includes(`"quarterdeck.${event}"`));

describe('an approval of a fix', () => {
  test('is told by Slack, a signed webhook and a mail; answered by a double click, retried, by the command line and by a second person at once, it is applied once', async () => {
    const { loop, slack, mail, qd } = people;
    const { name, approval, id } = await asked();
    const message = await people.messageOf(id);
    const [hook] = await pollUntil(() => (told(id, 'approval').length > 0 ? told(id, 'approval') : undefined), 'the webhook', 20_000);
    const letter = await pollUntil(() => mail.mails.find((text) => text.includes(`Message-ID: <${id}@`)), 'the mail', 20_000);
    // all say the same, as code wrote it
    const plain = letter.replaceAll('=\r\n', '').replaceAll('=3D', '=');
    for (const text of [JSON.stringify(message.blocks), hook?.body ?? '', plain])
      for (const part of ['1. scale Deployment/shop/web replicas=1', 'the desk, 555', approval.digest.slice(0, 20)])
        expect(text).toContain(part);
    const { data } = new Webhook(webhookSecret).verify(hook?.body ?? '', hook?.headers ?? {}) as { data: { approval: object } };
    expect(data.approval).toMatchObject({ id, digest: approval.digest, state: 'pending' });
    expect(() => new Webhook(webhookSecret).verify((hook?.body ?? '').replace('pending', 'approved'), hook?.headers ?? {})).toThrow();
    const link = /http:\/\/\S+\/approvals\/default\/default\/apr_\w+/.exec(plain)?.[0] ?? '';
    expect(await (await fetch(link)).text()).toContain(`quarterdeck approvals show ${id}`);

    const { digest } = approval;
    const [presses, answers] = await Promise.all([
      Promise.all([people.press(message, 'approve'), people.press(message, 'approve')]),
      Promise.all([
        ...[people.post(id, 'approve', { digest }), people.post(id, 'approve', { digest }), people.post(id, 'approve', { digest })],
        people.post(id, 'approve', { digest }, tokens.rita),
        qd(['approvals', 'approve', id, '--digest', digest], 'rob').then(({ code, stderr }) => ({
          ...{ status: code === 0 ? 200 : 409, body: { detail: stderr } },
        })),
      ]),
    ]);
    expect(
      presses.map(({ status }) => status),
      'Slack hears at once',
    ).toEqual([200, 200]);
    // the signal once more, and again
    for (let again = 0; again < 5; again += 1)
      await loop
        .workers()
        .workflows.getHandle(loop.idOf(name))
        .signal(approvalDecidedSignal, { approvalId: id })
        .catch(() => undefined);
    const fix = await until(name, 'fixed');
    expect(loop.world.effects).toEqual([`${fix.id}/do/0`]);
    expect(await listSteps(people.database, fix.id)).toHaveLength(1);
    expect(await stateOf(id)).toBe('consumed');
    expect((await people.audited({ action: 'useApproval' })).filter(({ operationId }) => operationId === fix.id)).toHaveLength(1);
    // one is the first, and all channels and whoever comes later hear who it was
    const { rows } = await people.database.$client.query<{ person: string }>(
      'select person from approval_decisions where approval_id = $1 order by at',
      [id],
    );
    const first = rows[0]?.person ?? '';
    expect(rows, 'one of them is the one who decided').toHaveLength(1);
    // Slack takes every press; what came of it stands in the message
    for (const { status, body } of answers.filter((one) => one.status !== 200))
      expect([status, body.detail]).toEqual([409, expect.stringMatching(new RegExp(`approved by ${first} at 20\\S+Z`))]);
    const changed = await pollUntil(
      () => {
        const now = slack.messages.get(message.ts);
        return now && slack.buttonOf(now, 'quarterdeck_approve') === undefined ? now : undefined;
      },
      'the message without buttons',
      20_000,
    );
    expect(JSON.stringify(changed.blocks)).toMatch(new RegExp(`approved by ${first} at \\d{4}-`));
    const [decided] = await pollUntil(() => (told(id, 'decided').length > 0 ? told(id, 'decided') : undefined), 'the decision', 20_000);
    expect(decided?.body).toContain(`approved by ${first}`);
    await pollUntil(() => mail.mails.find((text) => text.includes(`In-Reply-To: <${id}@`)), 'the mail about the decision', 20_000);
    const late = await people.post(id, 'approve', { digest }, tokens.admin);
    expect(late.status).toBeGreaterThanOrEqual(400);
    expect((await people.press(message, 'deny')).status).toBe(200);
    expect(await stateOf(id)).toBe('consumed');
    expect(loop.world.effects).toHaveLength(1);
  });

  test('is one item and one message for one drift, however often the target is looked at', async () => {
    const { loop, slack, qd } = people;
    const { name, id } = await asked();
    await people.messageOf(id);
    await Promise.all(Array.from({ length: 20 }, () => loop.start(name)));
    await settled(name);
    const { approvals } = JSON.parse((await qd(['approvals', 'ls', '-o', 'json'])).stdout);
    expect(
      approvals.filter(({ subject }: { subject: string }) => subject.startsWith(name)).map(({ id: one }: { id: string }) => one),
    ).toEqual([id]);
    expect([...slack.messages.values()].filter(({ text }) => text.includes(name))).toHaveLength(1);
    expect(await loop.fixesOf(name)).toHaveLength(1);
  });

  describe('of one object', () => {
    const spy = { name: 'spy', image: 'evil:1' };
    const addSpy = (): void =>
      people.loop.world.edit(deploymentRef(), ({ spec }) => void spec.template.spec.containers.push(spy), 'mesh-injector');
    const containers = (): unknown[] => people.loop.worldState('web').spec.template.spec.containers;
    const hangWithSpy = (): void =>
      people.loop.world.judgeBy(({ name }) =>
        name === 'web' && containers().length > 1
          ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: 'it hangs', count: 1 }] }
          : { health: 'healthy', symptoms: [] },
      );
    const openItemsOf = async (name: string): Promise<string[]> => {
      const { approvals } = JSON.parse((await people.qd(['approvals', 'ls', '-o', 'json'])).stdout);
      return approvals.filter(({ subject }: { subject: string }) => subject.startsWith(`${name}: `)).map(({ id }: { id: string }) => id);
    };

    test('is one item: what somebody added and that it is not well are asked as one thing, which shows both', async () => {
      const { loop, slack, qd } = people;
      const name = await declare();
      addSpy();
      hangWithSpy();
      await loop.start(name);
      const { id, digest } = await loop.waiting(name);
      await Promise.all(Array.from({ length: 5 }, () => loop.start(name)));
      await settled(name);
      expect(await openItemsOf(name)).toEqual([id]);
      expect((await loop.fixesOf(name)).map(({ fingerprint, modelCalls }) => [fingerprint.split(' ')[0], modelCalls])).toEqual([
        ['added', 0],
      ]);
      const shown = await qd(['approvals', 'show', id]);
      expect(shown.stdout).toMatch(/^ {2}fault .* has what nobody declared: .*spy.* Seen of it: Stuck \(it hangs\)/m);
      const fix = await people.fixOf(id);
      expect((await qd(['reconcile', 'explain', name])).stdout).toContain(`People are asked about ${fix?.id} of the same object first.`);
      expect((await people.post(id, 'approve', { digest })).body.state).toBe('approved');
      await until(name, 'fixed');
      await loop.phase(name, 'clean');
      expect([containers().length, (await loop.fixesOf(name)).length]).toEqual([1, 1]);
      expect([...slack.messages.values()].filter(({ text }) => text.includes(`${name}: `))).toHaveLength(1);
    });

    test('that is not well any more since they were asked they are asked anew, with that, and the item of before is over', async () => {
      const { loop, qd } = people;
      const name = await declare();
      addSpy();
      loop.world.judgeBy(() => ({ health: 'healthy', symptoms: [] }));
      await loop.start(name);
      const { id } = await loop.waiting(name);
      await settled(name);
      hangWithSpy();
      await loop.start(name);
      const next = await nextAfter(name, id);
      expect(await openItemsOf(name)).toEqual([next.id]);
      expect((await qd(['approvals', 'show', id])).stdout).toMatch(/^ {2}became .*not well any more \(Stuck\)/m);
      expect((await qd(['approvals', 'show', next.id])).stdout).toContain('Seen of it: Stuck (it hangs)');
      await loop.start(name);
      await settled(name);
      expect(await openItemsOf(name), 'and not again').toEqual([next.id]);
    });
  });

  test('is refused to who is unknown, has no role, declared the target, is an agent, or claims another by a header: the workflow does not move, and each try is on record', async () => {
    const { api, loop } = people;
    const { name, approval, id } = await asked();
    const message = await people.messageOf(id);
    const { digest } = approval;
    const before = await histories(name);
    const fix = await people.fixOf(id);
    const agent = `default/default/reconcile/run_0123456789abcdef/${name}/diagnoser/0`;
    const audience = `${api.url}/api`;
    const ofAgent = await api.tokensOfLogins.mintForAgent(agent, 'reviewer', { audience, now: api.clock.now });
    const ofGateway = await people.diagnosis.gateway.mint(agent, audience);
    const answers = {
      nobody: await people.post(id, 'approve', { digest }, null),
      unknown: await people.post(id, 'approve', { digest }, 'test-nobody-token-0123456789'),
      withoutRole: await people.post(id, 'approve', { digest }, tokens.guest),
      requester: await people.post(id, 'approve', { digest }, tokens.admin),
      agent: await people.post(id, 'approve', { digest }, ofAgent),
      agentOfGateway: await people.post(id, 'approve', { digest }, ofGateway),
      header: await people.post(id, 'approve', { digest }, tokens.guest, {
        ...{ 'x-forwarded-user': 'reviewer', 'x-remote-user': 'reviewer', 'x-quarterdeck-person': 'reviewer' },
        'x-forwarded-preferred-username': 'reviewer',
      }),
    };
    expect(Object.fromEntries(Object.entries(answers).map(([who, { status, body }]) => [who, `${status} ${body.code}`]))).toEqual({
      nobody: '401 not_authenticated',
      unknown: '401 token_refused',
      withoutRole: '404 not_found',
      requester: '403 not_permitted',
      agent: '401 token_refused',
      agentOfGateway: '401 token_refused',
      header: '404 not_found',
    });
    // and by the other doors
    await people.press(message, 'approve', 'U0GUEST');
    await people.press(message, 'approve', 'U0STRANGER');
    expect((await people.qd(['approvals', 'approve', id, '--yes'], 'guest')).code).not.toBe(0);
    expect((await people.qd(['approvals', 'approve', id, '--yes'], 'admin')).code, 'denied by policy').toBe(4);

    expect(await stateOf(id)).toBe('pending');
    expect(await people.fixOf(id)).toEqual(fix);
    expect(await histories(name), 'no event of the workflow').toBe(before);
    expect(loop.world.effects).toEqual([]);
    const refused = (await people.audited({ kind: 'refusal', action: 'approve' })).filter(({ resource }) => resource === `Approval/${id}`);
    expect(refused.map(({ person }) => person).sort()).toEqual(['admin', 'admin', 'guest', 'guest', 'guest', 'slack:U0STRANGER']);
    const rows = await people.database.$client.query('select person from audit_events where resource = $1', [`Approval/${id}`]);
    for (const { person } of rows.rows) expect(person, 'nobody by name').toMatch(/^psn_|^$/);
    // who cannot be named is counted, by door and by what was wrong
    await api.unknownCallers.close();
    const counted: Record<string, number> = {};
    for (const { errorCode, facts } of await people.audited({ kind: 'refusal', action: 'authenticate' }))
      if (facts?.door === 'api') counted[errorCode ?? ''] = (counted[errorCode ?? ''] ?? 0) + Number(facts.count);
    expect(counted).toEqual({ token_refused: 3, not_authenticated: 1 });
    // and whoever may still can
    expect((await people.post(id, 'approve', { digest })).body.state).toBe('approved');
    await until(name, 'fixed');
  });

  test('of two people is none of one who says it by Slack, at the api and by the command line; the second person makes it one', async () => {
    const { loop, qd, diagnosis } = people;
    diagnosis.script.answer = () => propose({ ...proposal(), confidence: 0.3 }); // unsure: two people
    const { name, approval, id } = await asked();
    expect(approval.rules).toMatchObject([{ count: 2 }]);
    const { digest } = approval;
    await people.press(await people.messageOf(id), 'approve');
    const given = async () => (await getApproval(people.database, { ...place, id })).decisions.map(({ person }) => person);
    await pollUntil(async () => (await given()).length === 1, 'the answer by Slack', 20_000);
    expect((await people.post(id, 'approve', { digest })).body.state).toBe('pending');
    const third = await qd(['approvals', 'approve', id, '--digest', digest]);
    expect(third).toMatchObject({ code: 0, stderr: expect.stringContaining('1 of 2') });
    expect([await given(), await stateOf(id)]).toEqual([['reviewer'], 'pending']);
    expect(loop.world.effects).toEqual([]);
    expect((await qd(['approvals', 'approve', id, '--digest', digest], 'rita')).stdout).toBe(`${id} approved\n`);
    const fix = await until(name, 'fixed');
    expect(loop.world.effects).toEqual([`${fix.id}/do/0`]);
    const used = (await people.audited({ action: 'useApproval' })).filter(({ operationId }) => operationId === fix.id);
    expect(used).toMatchObject([{ facts: { digest, people: ['reviewer', 'rita'] } }]);
  });

  test('that nobody gives in time counts as no: nothing is changed, the item says so everywhere, and who is to be called is named', async () => {
    const { loop, slack } = people;
    const { name, approval, id } = await asked({ limits: { cooldownSeconds: 300, fixesPerHour: 1000 } });
    const message = await people.messageOf(id);
    await runOut(people.database, id);
    expect((await people.post(id, 'approve', { digest: approval.digest })).body.code).toBe('approval_expired');
    const looks = loop.world.reads.observe;
    await loop.start(name);
    const fix = await until(name, 'expired');
    expect(fix.message).toContain('counts as denied');
    expect(loop.world.reads.observe).toBeGreaterThan(looks);
    expect(loop.world.effects).toEqual([]);
    const page = await pollUntil(
      () => [...slack.messages.values()].find(({ text }) => text.includes(`nobody answered ${id} in time`)),
      'the page',
      20_000,
    );
    expect(JSON.stringify(page)).toContain('It was asked for admin. Contact: the desk, 555');
    const changed = await pollUntil(
      () => {
        const now = slack.messages.get(message.ts);
        return now && slack.buttonOf(now, 'quarterdeck_approve') === undefined ? now : undefined;
      },
      'the message without buttons',
      20_000,
    );
    expect(JSON.stringify(changed.blocks)).toContain('Expired, which counts as denied');
    // one message of it by each of the other channels, with whom to call
    const expired = `${fix.id}/expired`;
    await pollUntil(
      async () =>
        (await people.deliveriesOf(id)).every(({ state }) => state === 'sent') &&
        (await people.deliveriesOf(expired)).filter(({ state }) => state === 'sent').length === people.channels.length
          ? true
          : undefined,
      'all that is to be told',
      20_000,
    );
    const [hook, ...others] = people.receiver.requests.filter(({ body }) => body.includes(id)).slice(1);
    expect(others).toEqual([]);
    expect(JSON.parse(hook?.body ?? '')).toMatchObject({ type: 'quarterdeck.decided', data: { approval: { id, state: 'expired' } } });
    expect(hook?.body).toContain('the desk, 555');
    const letters = people.mail.mails.filter((text) => text.includes(`In-Reply-To: <${id}@`));
    expect(letters).toHaveLength(1);
    expect(letters[0]).toContain('the desk, 555');
    expect(people.mail.mails.filter((text) => text.includes('nobody answered'))).toEqual([]);
    const explained = await people.qd(['reconcile', 'explain', name]);
    expect(explained.stdout).toContain('is expired');
    expect(explained.stdout).toContain('Contact: the desk, 555.');
    const shown = await people.qd(['approvals', 'show', id]);
    expect(shown.stdout).toContain(`Approval ${id}: expired`);
  });

  test('that takes two people is not applied by one of them, nor by who asked: it is 1 of 2, and when nobody else answers it is no', async () => {
    const { loop, diagnosis, qd } = people;
    diagnosis.script.answer = () => propose({ ...proposal(), confidence: 0.3 }); // unsure: two people
    const { name, approval, id } = await asked();
    expect(approval.rules).toMatchObject([{ count: 2 }]);
    const { digest } = approval;
    // as often as they like: the same person twice, and who declared the target though they are an administrator
    for (let round = 0; round < 2; round += 1) {
      const first = await qd(['approvals', 'approve', id, '--digest', digest], 'rita');
      expect(first).toMatchObject({ code: 0, stdout: `${id} pending\n`, stderr: expect.stringContaining('1 of 2') });
      const own = await qd(['approvals', 'approve', id, '--digest', digest], 'admin');
      expect([own.code, own.stderr]).toEqual([4, expect.stringContaining('platform/')]);
    }
    expect((await qd(['approvals', 'show', id], 'rita')).stdout).toMatch(/^ {2}answer {4}rita approved it at /m);
    // whoever tells the workflow that it was decided: it reads that it was not
    for (let again = 0; again < 3; again += 1)
      await loop.workers().workflows.getHandle(loop.idOf(name)).signal(approvalDecidedSignal, { approvalId: id });
    await settled(name);
    expect([await stateOf(id), (await people.fixOf(id))?.state, loop.world.effects]).toEqual(['pending', 'awaiting-approval', []]);
    await runOut(people.database, id);
    await loop.start(name);
    await until(name, 'expired');
    expect([await stateOf(id), loop.world.effects]).toEqual(['expired', []]);
    expect((await people.audited({ action: 'useApproval' })).filter(({ resource }) => resource === `Approval/${id}`)).toEqual([]);
  });

  test('of what has moved on since is refused as stale, and a new one is offered of what is there now', async () => {
    const { loop, qd } = people;
    const { name, approval, id } = await asked();
    const diffOf = async (of: string) =>
      (await qd(['approvals', 'show', of])).stdout.split('\n').filter((line) => line.includes('dry-run: '));
    const diff = await diffOf(id);
    loop.world.edit(deploymentRef(), (state) => {
      state.metadata.labels = { by: 'hand' };
    });
    const refused = await people.qd(['approvals', 'approve', id, '--digest', approval.digest]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('is stale');
    expect(await until(name, 'stale')).toMatchObject({ approvalId: id, message: expect.stringContaining('Somebody changed what step 1') });
    const next = await nextAfter(name, id);
    expect(next.digest).not.toBe(approval.digest);
    expect([diff, await diffOf(next.id)], 'another diff, from what is there now').toEqual([
      [expect.not.stringContaining('"by":"hand"')],
      [expect.stringMatching(/"by":"hand".* -> .*"by":"hand"/)],
    ]);
    expect((await people.post(id, 'approve', { digest: approval.digest })).status).toBe(409);
    expect(loop.world.effects).toEqual([]);
    expect((await people.post(next.id, 'approve', { digest: next.digest })).body.state).toBe('approved');
    await until(name, 'fixed');
    expect(loop.worldState('web').metadata.labels, 'what the person did stays').toEqual({ by: 'hand' });
    expect(loop.world.effects).toHaveLength(1);
  });
});

test('a budget that ends in the middle of a diagnosis leaves the evidence, and what was read so far, to people of the target alone', async () => {
  const { loop, qd, diagnosis } = people;
  diagnosis.model.requests.length = 0;
  diagnosis.script.answer = (_request, number) => ({
    toolCalls: [{ name: 'look', arguments: JSON.stringify({ path: `/log/${number}` }) }],
    usage: { promptTokens: 8_000, completionTokens: 1_000 },
  });
  const name = await declare({ escalation: { role: 'diagnoser', costMicroUsd: 40_000 } }); // two answers, and not the worst of a third
  await loop.start(name);
  const fix = await until(name, 'asked');
  expect(fix).toMatchObject({
    approvalId: null,
    modelCalls: 2,
    costMicroUsd: 36_000,
    message: expect.stringContaining('budget-escalation'),
  });
  expect(diagnosis.model.requests).toHaveLength(2);
  // from the page by what explains the target to what there is
  await pollUntil(
    () => [...people.slack.messages.values()].find(({ text }) => text.includes(name) && text.includes('a person has to look')),
    'the page',
    20_000,
  );
  expect((await qd(['reconcile', 'explain', name])).stdout).toContain(`quarterdeck reconcile history ${name} --evidence ${fix.id}`);
  const shown = await qd(['reconcile', 'history', name, '--evidence', fix.id]);
  expect(shown.code, shown.stderr).toBe(0);
  expect(shown.stdout).toContain('unhealthy Deployment Stuck at Deployment/shop/web');
  expect(shown.stdout).toContain('it hangs');
  const [, agent = ''] = /--agent (\S+) --transcript/.exec(shown.stderr) ?? [];
  const read = await qd(['run', 'show', `run_${fix.id.slice(4)}`, '--agent', agent, '--transcript'], 'admin');
  expect(read.code, read.stderr).toBe(0);
  expect(read.stdout).toContain('/log/1');
  // and by nobody else, nor as another target's
  expect((await qd(['reconcile', 'history', name, '--evidence', fix.id], 'guest')).code).toBe(4);
  const other = await declare();
  expect((await qd(['reconcile', 'history', other, '--evidence', fix.id])).stderr).toContain('no evidence to a fix');
  const seen = (await people.audited({ action: 'seeApproval' })).filter(({ operationId }) => operationId === fix.id);
  expect(seen).toMatchObject([{ person: 'reviewer', facts: { evidence: fix.evidenceDigest } }]);
});

describe('what is to be done', () => {
  test('is edited by a person: the approval that was asked for is over, another is asked for by the new digest, by somebody else, and its bytes alone are applied', async () => {
    const { loop, qd } = people;
    const { name, approval, id } = await asked();
    const first = await people.fixOf(id);
    const printed = await qd(['approvals', 'edit', id], 'rita');
    expect(printed).toMatchObject({ code: 0, stderr: expect.stringContaining(`approvals edit ${id} --operations FILE`) });
    expect(printed.stdout).toContain('op: scale');
    const wrong = await qd(['approvals', 'edit', id, '--operations', '-'], 'rita', 'op: runShell');
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('no list of operations')]);
    expect((await qd(['approvals', 'edit', id, '--operations', '-'], 'guest', printed.stdout)).code, 'not by who may not answer').not.toBe(
      0,
    );
    const edited = await qd(
      ['approvals', 'edit', id, '--operations', '-', '--comment', 'web is not to blame'],
      'rita',
      printed.stdout.replace('name: web', 'name: a'),
    );
    expect(edited, edited.stderr).toMatchObject({ code: 0, stdout: `${id} denied\n` });
    expect((await people.post(id, 'approve', { digest: approval.digest })).status, 'what was asked before is over').toBe(409);
    const next = await nextAfter(name, id);
    expect(next.digest).not.toBe(approval.digest);
    expect(loop.world.effects).toEqual([]);
    const shown = await qd(['approvals', 'show', next.id]);
    expect(shown.stdout).toContain('1. scale Deployment/shop/a replicas=1');
    expect(shown.stdout).toMatch(/proposed +rita/);
    // the digest of before is not of this, and who wrote it does not approve it
    expect((await people.post(next.id, 'approve', { digest: approval.digest })).status).toBe(403);
    const own = await qd(['approvals', 'approve', next.id, '--digest', next.digest], 'rita');
    expect([own.code, own.stderr]).toEqual([4, expect.stringContaining('platform/fix-approver')]);
    loop.world.judgeBy(({ name: one }) =>
      one === 'web' && loop.worldState('a').spec.replicas !== 1
        ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: 'it hangs', count: 1 }] }
        : { health: 'healthy', symptoms: [] },
    );
    expect((await qd(['approvals', 'approve', next.id, '--digest', next.digest], 'rob')).code).toBe(0);
    const fix = await until(name, 'fixed');
    expect(fix).toMatchObject({ id: first?.id, planDigest: next.digest, plan: { source: { kind: 'person', person: 'rita' } } });
    expect([loop.worldState('a').spec.replicas, loop.worldState('web').spec.replicas]).toEqual([1, 2]);
    const [row] = await people.audited({ action: 'editFix' });
    expect(row).toMatchObject({ person: 'rita', resource: `Approval/${id}`, facts: { from: approval.digest, to: next.digest } });
  });

  test('once edited waits for another person however small it is, and for none of those who had a hand in it', async () => {
    const { loop, qd } = people;
    const { name, id } = await asked();
    const edit = (approvalId: string, by: 'rita' | 'rob', operations: string) =>
      qd(['approvals', 'edit', approvalId, '--operations', '-'], by, operations);
    const { kind, apiVersion, namespace } = deploymentRef();
    // a model would need nobody for this, so that one person alone, of whatever login, would have it done
    const restart = (object: string) =>
      `- op: restart\n  object: {apiVersion: ${apiVersion}, kind: ${kind}, namespace: ${namespace}, name: ${object}}`;
    expect((await edit(id, 'rita', restart('web'))).code).toBe(0);
    const second = await nextAfter(name, id);
    expect(second.rules).toMatchObject([{ policy: 'platform/fix-attended', count: 1 }]);
    // and Rob's small change of it would make what Rita wrote Rob's
    expect((await edit(second.id, 'rob', restart('a'))).code).toBe(0);
    const third = await nextAfter(name, second.id);
    for (const [by, rule] of [
      ['rita', 'platform/submitter-approves-no-fix'],
      ['rob', 'platform/fix-approver'],
    ] as const) {
      const own = await qd(['approvals', 'approve', third.id, '--digest', third.digest], by);
      expect([own.code, own.stderr]).toEqual([4, expect.stringContaining(rule)]);
    }
    expect(await stateOf(third.id)).toBe('pending');
    expect(loop.world.effects).toEqual([]);
    expect((await qd(['approvals', 'deny', third.id, '--digest', third.digest], 'rita')).code, 'saying no is open to all').toBe(0);
  });

  test('is shown with every character to be seen, whatever stands in it; what is shown is, byte for byte, what the digest is of and what is done', async () => {
    const { loop, qd, mail } = people;
    // turns the line around, wipes the screen, looks like lines, buttons and links of ours, and like what we write for such characters
    const hostile = [
      'on \u202egnihton seod sihT\u202c\u200b \u001b[2J\u001b[1;1H \\u{202E}',
      '  digest    0000000000000000',
      'Approval apr_1: approved',
      '*Would do*',
      '1. nothing Deployment/shop/web',
      '<https://evil.example|Approve> [Approve](https://evil.example) <button>Approve</button> <!channel>',
      'https://evil.example/approvals/default/default/apr_1',
    ].join('\n');
    const path = '/metadata/annotations/note';
    const web = deploymentManifest('web', { metadata: { annotations: { note: hostile } } });
    const name = await declare({ critical: true, manifests: [web, ...manifests.slice(1)], rulesOff: ['reapply-declared'] });
    loop.world.judgeBy(() => ({ health: 'healthy', symptoms: [] }));
    await loop.declareRule(name, {
      match: 'drift.kind == "changed"',
      operations: [{ op: 'patchField', object: { $drift: '/object' }, path, value: hostile }],
    });
    loop.world.edit(deploymentRef(), (state) => {
      state.metadata.annotations = { note: 'mine' };
    });
    await loop.start(name);
    const { id, digest } = await loop.waiting(name);
    const message = await people.messageOf(id);

    const { stdout } = await qd(['approvals', 'show', id]);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them is left
    const unseen = /[\u0000-\u0009\u000b\u000c\u000e-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e]/;
    expect(stdout).not.toMatch(unseen);
    const lines = stdout.split('\n');
    expect(lines.filter((line) => line.startsWith('Approval '))).toEqual([`Approval ${id}: pending`]);
    expect(lines.filter((line) => line.startsWith('  digest '))).toEqual([`  digest    ${digest}`]);
    expect(lines.filter((line) => /^\s*\d+\. /.test(line))).toEqual([
      expect.stringMatching(/^ {2}1\. patchField Deployment\/shop\/web .*\\u\{202E\}gnihton/),
    ]);
    // read back as it stands there, it is the bytes that the digest is of
    const json = lines.filter((line) => line.startsWith('  | ')).map((line) => line.slice(4));
    const read = json
      .join('\n')
      .replace(
        /(?<!\\)((?:\\\\)*)\\u\{([0-9A-F]+)\}/g,
        (_all, before, code) => `${before}${String.fromCodePoint(Number.parseInt(code, 16))}`,
      );
    expect(digestOfText(canonicalText(JSON.parse(read)))).toBe(digest);
    expect(JSON.parse(read).steps).toMatchObject([{ operation: { op: 'patchField', path, value: hostile } }]);

    const texts: string[] = [];
    JSON.stringify(message.blocks, (_key, value) => {
      if (typeof value === 'string') texts.push(value);
      return value;
    });
    const blocks = texts.join('\n');
    expect(blocks).toContain('\\u{202E}gnihton');
    expect(blocks).not.toMatch(unseen);
    expect(blocks).not.toMatch(/<https:\/\/evil|<!channel>/);
    expect(
      texts.filter((text) => text.startsWith('quarterdeck_')),
      'our two buttons, in our one place',
    ).toEqual(['quarterdeck_approval', 'quarterdeck_approve', 'quarterdeck_deny']);
    const letter = await pollUntil(() => mail.mails.find((text) => text.includes(`Message-ID: <${id}@`)), 'the mail', 20_000);
    const plain = letter.replaceAll('=\r\n', '').replaceAll('=3D', '=');
    expect(plain).toContain('\\u{202E}gnihton');
    expect(plain.split('\r\n').filter((line) => /^(\*|\d\. |https:\/\/evil|Approval apr_1)/.test(line))).toEqual([]);
    expect(plain).not.toMatch(unseen);

    expect((await qd(['approvals', 'approve', id, '--digest', digest])).code).toBe(0);
    const fix = await until(name, 'fixed');
    expect(fix.planDigest).toBe(digest);
    expect(loop.worldState('web').metadata.annotations).toEqual({ note: hostile });
    expect(loop.world.effects).toEqual([`${fix.id}/do/0`]);
  });
});

describe('a fix that makes a neighbour worse', () => {
  const rule = { match: 'drift.kind == "unhealthy"', operations: [{ op: 'scale', object: { $drift: '/object' }, replicas: 1 }] };

  test('though people approved it is taken back, and the item says so; the audit tells it from the proposal to the undoing', async () => {
    const { loop, qd } = people;
    loop.world.judgeBy(({ name: one }, state) =>
      (one === 'web' && state.spec.replicas !== 1) || (one === 'b' && loop.worldState('web')?.spec.replicas === 1)
        ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: '', count: 1 }] }
        : { health: 'healthy', symptoms: [] },
    );
    const { name, approval, id } = await asked({ limits: { cooldownSeconds: 300 } });
    const before = loop.world.text();
    expect((await qd(['approvals', 'approve', id, '--digest', approval.digest], 'rita')).code).toBe(0);
    const fix = await until(name, 'rolled-back');
    expect(loop.world.text(), 'exactly as it was').toBe(before);
    const shown = await qd(['approvals', 'show', id]);
    expect(shown.stdout).toMatch(/^ {2}became {4}rolled-back at 20\S+Z: .*It was undone\./m);

    const rows = (await people.audited({})).filter(
      ({ resource, operationId }) => resource === `Approval/${id}` || operationId?.startsWith(fix.id),
    );
    const [done] = await listSteps(people.database, fix.id);
    const [was, became] = [done?.beforeHash, done?.afterHash];
    const write = { outcome: 'ok', policyVersion: expect.stringMatching(/./), decisionId: expect.stringMatching(/^dec_/) };
    const ofPlan = { plan: approval.digest, source: 'model' };
    const story = ['askApproval', 'approve', 'useApproval', '/do/0', '/undo/0'].map((what) =>
      rows.find(({ action, kind, operationId }) => action === what || (kind === 'outcome' && operationId === `${fix.id}${what}`)),
    );
    expect(story).toMatchObject([
      { facts: { digest: approval.digest } },
      { person: 'rita', facts: { digest: approval.digest } },
      { operationId: fix.id, facts: { digest: approval.digest, people: ['rita'] } },
      { ...write, facts: { ...ofPlan, direction: 'do', before: was, after: became } },
      { ...write, facts: { ...ofPlan, direction: 'undo', before: became, after: was } },
    ]);
    const instants = story.map((row) => Date.parse(row?.at ?? ''));
    expect(instants, 'in this order').toEqual(instants.toSorted((one, other) => one - other));
    expect(was).toMatch(/^[0-9a-f]{64}$/);
    expect((await qd(['audit', 'verify'], 'admin')).code).toBe(0);
  });

  test('is taken back by itself, and its kind is paused for that target: the next of it waits for a person there, and nowhere else', async () => {
    const { loop, qd } = people;
    const limits = { cooldownSeconds: 0, fixesPerHour: 1000, blockSeconds: 600 };
    const target = { escalation: {}, limits };
    const name = await declare(target);
    await loop.declareRule(name, rule);
    const isWorse = { value: true };
    const hanging = new Set(['web']);
    loop.world.judgeBy(({ name: one }, state) =>
      (hanging.has(one) && state.spec.replicas !== 1) || (one === 'b' && isWorse.value && loop.worldState('web')?.spec.replicas === 1)
        ? { health: 'degraded', symptoms: [{ code: 'Stuck', message: '', count: 1 }] }
        : { health: 'healthy', symptoms: [] },
    );
    const before = loop.world.text();
    await loop.start(name);
    const bad = await until(name, 'rolled-back');
    expect(loop.world.text(), 'exactly as it was').toBe(before);
    expect(loop.world.effects.map((effect) => effect.slice(bad.id.length))).toEqual(['/do/0', '/undo/0']);
    expect(bad.approvalId, 'nobody was asked for the first').toBeNull();

    // the same kind of fix, of another thing
    await loop.ended(name);
    isWorse.value = false;
    hanging.delete('web');
    hanging.add('a');
    await loop.start(name);
    const approval = await nextAfter(name, null);
    expect(approval.rules.map(({ policy }) => policy)).toEqual(['platform/fix-paused-kind']);
    expect(approval.reason).toContain('made things worse on this target');
    expect(loop.world.effects).toHaveLength(2);
    const explained = await qd(['reconcile', 'explain', name]);
    expect(explained.stdout).toContain("Fixes of the kind `scale Deployment` are made here with a person's approval only, until");
    // elsewhere it is not
    const other = await declare(target);
    await loop.declareRule(other, rule);
    await loop.start(other);
    await until(other, 'fixed');
    expect(loop.world.effects).toHaveLength(3);
    // what was asked about is gone with the fault; when the pause is over it is done by itself again
    await loop.start(name);
    await until(name, 'left-alone');
    // both keep one system here: what follows is for this one alone to mend
    expect((await qd(['reconcile', 'pause', other, '--reason', 'the other one does it'])).code).toBe(0);
    loop.time.offsetMs = 601_000;
    hanging.delete('a');
    hanging.add('c');
    await loop.start(name);
    const again = await pollUntil(
      async () => (await loop.fixesOf(name)).find(({ fingerprint, state }) => fingerprint.endsWith('/c') && state === 'fixed'),
      'what is done by itself again',
      60_000,
    );
    expect(again.approvalId).toBeNull();
  });
});

test('secrets that are declared or were put in by hand, and drift or stand in a dry-run: none is in a row, a history, a prompt, a message, a log or what people are shown', async () => {
  const { loop, qd, database, diagnosis, api } = people;
  // ones that only their place gives away, a short one, and one that has a shape of its own
  const secrets = {
    ...{ declared: 'correct-horse-battery', byHand: 'staple-by-hand-991', short: 'q7x', inMap: 'map-value-4411' },
    inLog: 'ghp_abcdefghijklmnopqrstuvwxyz0123456789',
  };
  const env = (password: string, pin: string) => [
    { name: 'MODE', value: 'fast' },
    { name: 'DB_PASSWORD', value: password },
    { name: 'API_TOKEN', value: pin },
  ];
  const web = deploymentManifest();
  web.spec.template.spec.containers[0].env = env(secrets.declared, 'p1');
  const settingsRef = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'settings' };
  const settings = {
    ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', namespace: 'shop' } },
    data: { level: 'info', clientSecret: 'other-map-value' },
  };
  loop.world.judgeBy(({ name }, state) =>
    name === 'a' && state.spec.replicas !== 1
      ? {
          health: 'degraded',
          symptoms: [{ code: 'Stuck', message: `login failed, password=${secrets.byHand} ${secrets.inLog}`, count: 1 }],
        }
      : { health: 'healthy', symptoms: [] },
  );
  const name = await declare({ critical: true, manifests: [web, ...manifests.slice(1), settings] });
  loop.world.edit(deploymentRef(), (state) => {
    state.spec.template.spec.containers[0].env = env(secrets.byHand, secrets.short);
  });
  loop.world.edit(settingsRef, (state) => {
    state.data.clientSecret = secrets.inMap;
  });
  diagnosis.model.requests.length = 0;
  diagnosis.script.answer = () => propose(proposal(deploymentRef('a')));
  await loop.start(name);
  // three faults wait for people: two by a rule, one by the model
  const ids = await pollUntil(
    async () => {
      const waits = (await loop.fixesOf(name)).filter(({ state }) => state === 'awaiting-approval');
      return waits.length === 3 ? waits.map(({ approvalId }) => approvalId ?? '') : undefined;
    },
    'three approvals',
    90_000,
  );
  for (const id of ids) await people.messageOf(id);
  const outputs = await Promise.all([
    qd(['reconcile', 'explain', name]),
    qd(['reconcile', 'status', name, '-o', 'json']),
    qd(['reconcile', 'history', name, '-o', 'json']),
    ...ids.map((id) => qd(['approvals', 'show', id])),
    ...ids.map((id) => qd(['approvals', 'show', id, '--evidence'])),
  ]);
  const history = JSON.stringify(await loop.history(name), (_key, value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString() : value,
  );
  const { rows: tables } = await database.$client.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`,
  );
  const dumps = await Promise.all(
    tables
      // what people declared stands where they declared it
      .filter(({ name: table }) => table !== 'resources')
      .map(async ({ name: table }) => {
        const { rows } = await database.$client.query<{ row: string }>(`select to_jsonb(t)::text as row from "${table}" t`);
        return [table, ...rows.map(({ row }) => row)].join('\n');
      }),
  );
  const places = {
    ...{ rows: dumps.join('\n'), history, logs: api.logLines.join('\n'), shown: JSON.stringify(outputs) },
    prompts: JSON.stringify(diagnosis.model.requests.map(({ body }) => body)),
    messages: JSON.stringify([[...people.slack.messages.values()], people.receiver.requests, people.mail.mails]),
  };
  for (const [what, text] of Object.entries(places)) {
    const found = Object.entries(secrets).filter(
      ([, value]) => text.includes(`${value}\\"`) || text.includes(`"${value}"`) || (value.length > 5 && text.includes(value)),
    );
    expect(found, what).toEqual([]);
    expect(text.length, what).toBeGreaterThan(100);
  }
  // people still see what differs and where
  expect(outputs[0]?.stdout).toContain('/spec/template/spec/containers/0/env/1/value is "[masked]" instead of "[masked]"');
  expect(places.rows).toContain('[masked]');
  // what is applied is the very value
  const fix = (await loop.fixesOf(name)).find(({ fingerprint }) => fingerprint.endsWith('Deployment/shop/web'));
  const approval = await getApproval(database, { ...place, id: fix?.approvalId ?? '' });
  expect((await people.post(approval.id, 'approve', { digest: approval.digest })).body.state).toBe('approved');
  await until(name, 'fixed');
  expect(loop.worldState('web').spec.template.spec.containers[0].env).toEqual(env(secrets.declared, 'p1'));
});
