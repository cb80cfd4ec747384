import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { observationRef } from '../../../activities/targets/mcp-observe.ts';
import { diffTarget } from '../../../reconcile/diff-target.ts';
import type { ApplyContext } from '../../../reconcile/target-port.ts';
import type { ReadObservation } from '../../../schema/reconcile/observation.ts';
import type { Operation } from '../../../schema/reconcile/operation.ts';
import { type McpTargetPlace, startMcpTargetPlace } from '../../support/mcp-target-place.ts';
import { type SettingsServer, startSettingsServer } from '../../support/settings-server.ts';

let server: SettingsServer;
let place: McpTargetPlace;
beforeAll(async () => {
  server = await startSettingsServer();
  place = await startMcpTargetPlace({ url: server.url });
});
afterAll(async () => {
  await place.close();
  await server.close();
});
beforeEach(() => {
  Object.assign(server.state, { settings: { colour: 'blue', size: 3, note: 'of others' }, fault: 'none', sets: [] });
});

const { signal } = new AbortController();
const spec = {
  observe: [
    { name: 'shown', tool: 'look', select: '/settings' },
    { name: 'all', tool: 'look' },
  ],
  desired: { shown: { colour: 'green', size: 3 } },
  actions: [
    {
      name: 'paint',
      of: 'shown',
      apply: { tool: 'set', arguments: { value: { colour: { $desired: '/colour' } }, was: { $observed: '/colour' } } },
      undo: { tool: 'set', arguments: { value: { $observed: '' } } },
    },
    { name: 'odd', of: 'shown', apply: { tool: 'set', arguments: { value: { $desired: '/nothing' } } } },
    { name: 'gone', of: 'shown', apply: { tool: 'no-such-tool', arguments: {} } },
  ],
};
const object = observationRef('shown');
const paint: Operation = { op: 'act', object, action: 'paint' };
let operations = 0;

const see = async (target = place.targetOf(spec)): Promise<ReadObservation> => {
  const observation = await place.port.observe(target, signal);
  if (observation.status !== 'read') throw new Error(observation.message);
  return observation;
};
const contextOf = async (more: Partial<ApplyContext> = {}): Promise<ApplyContext> => {
  const [shown] = (await see()).objects;
  if (!shown) throw new Error('nothing is shown');
  operations += 1;
  return {
    operationId: `fix_${operations}/0`,
    precondition: { kind: 'version', version: shown.version, hash: shown.hash, uid: shown.uid },
    holdsFence: async () => true,
    readState: async () => shown.state,
    signal,
    ...more,
  };
};

describe('what is seen', () => {
  test('is what the named calls answer; of what is desired only the named members are compared', async () => {
    const target = place.targetOf(spec);
    const [desired, observation] = [await place.port.desired(target, signal), await see(target)];
    expect(observation.objects).toMatchObject([{ ref: object, state: { colour: 'blue', note: 'of others' }, health: 'healthy' }]);
    expect(observation.neighbours).toMatchObject([{ ref: { name: 'all' }, state: { settings: { colour: 'blue' } } }]);
    const { drifts } = diffTarget({ target, desired, observation, holds: [], now: 0 });
    expect(drifts).toMatchObject([{ kind: 'changed', object, fields: [{ path: '/colour', desired: 'green', observed: 'blue' }] }]);
    server.state.settings = { colour: 'green', size: 3, note: 'another' };
    expect(diffTarget({ target, desired, observation: await see(target), holds: [], now: 0 }).drifts).toEqual([]);
  });

  test('is asked for as an agent that can only read: a look by a tool that writes is refused, and nothing is said of what is there', async () => {
    const target = place.targetOf({ ...spec, observe: [{ name: 'shown', tool: 'set', arguments: { value: {} } }] }, 'sly');
    expect(await place.port.observe(target, signal)).toMatchObject({ status: 'unknown', reason: 'refused' });
    expect(server.state.sets).toEqual([]);
    const looked = await place.gateway.auditRow(({ tool, fleet }) => tool === 'look' && fleet === 'reconcile');
    expect(looked).toMatchObject({ role: 'keeper', person: 'admin', decision: 'allow' });
  });

  test('is unknown, never missing, where an answer is no JSON or holds nothing at the place', async () => {
    server.state.fault = 'text';
    expect(await place.port.observe(place.targetOf(spec), signal)).toMatchObject({ status: 'unknown', reason: 'incomplete' });
    server.state.fault = 'none';
    const elsewhere = place.targetOf({ ...spec, observe: [{ name: 'shown', tool: 'look', select: '/constructor' }] });
    expect(await place.port.observe(elsewhere, signal)).toMatchObject({ status: 'unknown', reason: 'incomplete' });
  });

  test('is seen by a new agent after a while, and the earlier one ends', async () => {
    await see();
    place.state.now += 11 * 60_000;
    await see();
    const rows = await place.gateway.database.query.agents.findMany();
    const looking = rows.filter(({ id, stage }) => id.startsWith('default/default/reconcile/') && stage === 'settings');
    expect(looking.map(({ state }) => state).sort()).toEqual(['done', 'running']);
  });
});

describe('an action', () => {
  test('calls the declared tool with what was declared and what was seen, once for an operation id, and its undoing goes back', async () => {
    const context = await contextOf();
    const dry = await place.port.dryRun(place.targetOf(spec), paint, signal);
    expect(dry).toMatchObject({
      ok: true,
      diff: [
        { path: '/call/tool', after: 'set' },
        { path: '/call/arguments', after: { value: { colour: 'green' }, was: 'blue' } },
        { path: '/state/colour', before: 'blue', after: 'green' },
      ],
    });
    expect(server.state.sets).toEqual([]);
    const outcome = await place.port.apply(place.targetOf(spec), paint, context);
    expect(outcome).toMatchObject({ kind: 'applied', hash: (await see()).objects[0]?.hash });
    // after a kill the same is asked again, though nothing is as it was
    expect(await place.port.apply(place.targetOf(spec), paint, context)).toMatchObject({ kind: 'applied' });
    expect(server.state.sets).toEqual([{ value: { colour: 'green' }, was: 'blue' }]);
    expect(await place.gateway.auditRow(({ operationId }) => operationId === context.operationId)).toMatchObject({
      fleet: 'reconcile-act',
      role: 'keeper',
    });

    if (outcome.kind !== 'applied') throw new Error('not applied');
    const { version, hash, uid } = outcome;
    const undo: Operation = { op: 'undoAct', object, action: 'paint', stateDigest: 'd' };
    const back = { ...context, operationId: `${context.operationId}/undo`, precondition: { kind: 'version' as const, version, hash, uid } };
    expect(await place.port.apply(place.targetOf(spec), undo, back)).toMatchObject({ kind: 'applied' });
    expect(server.state.settings).toEqual({ colour: 'blue', size: 3, note: 'of others' });
  });

  test('is not called where somebody changed what it is of, or the lock is lost', async () => {
    const context = await contextOf();
    server.state.settings = { ...server.state.settings, note: 'edited' };
    expect(await place.port.apply(place.targetOf(spec), paint, context)).toMatchObject({ kind: 'failed', reason: 'precondition' });
    const fenced = await contextOf({ holdsFence: async () => false });
    expect(await place.port.apply(place.targetOf(spec), paint, fenced)).toMatchObject({ kind: 'failed', reason: 'fenced' });
    expect(server.state.sets).toEqual([]);
  });

  test('whose answer is lost counts by what is seen: done, or unknown and never made twice', async () => {
    server.state.fault = 'lose';
    expect(await place.port.apply(place.targetOf(spec), paint, await contextOf())).toMatchObject({ kind: 'applied' });
    server.state.settings = { colour: 'blue', size: 3 };
    server.state.fault = 'break';
    const context = await contextOf();
    expect(await place.port.apply(place.targetOf(spec), paint, context)).toMatchObject({ kind: 'unknown' });
    server.state.fault = 'none';
    expect(await place.port.apply(place.targetOf(spec), paint, context)).toMatchObject({ kind: 'unknown' });
    expect(server.state.sets).toHaveLength(2);
    // somebody looks, and it is so after all
    server.state.settings = { colour: 'green', size: 3 };
    expect(await place.port.apply(place.targetOf(spec), paint, context)).toMatchObject({ kind: 'applied' });
    expect(server.state.sets).toHaveLength(2);
  });

  test('that the tool refuses, that points at nothing or that is not granted fails, and says why', async () => {
    server.state.fault = 'refuse';
    const refused = await place.port.apply(place.targetOf(spec), paint, await contextOf());
    expect(refused).toMatchObject({ kind: 'failed', reason: 'invalid', message: expect.stringContaining('not today') });
    server.state.fault = 'none';
    const odd = await place.port.apply(place.targetOf(spec), { op: 'act', object, action: 'odd' }, await contextOf());
    expect(odd).toMatchObject({ kind: 'failed', reason: 'invalid', message: expect.stringContaining('/nothing') });
    const gone: Operation = { op: 'act', object, action: 'gone' };
    expect(await place.port.apply(place.targetOf(spec), gone, await contextOf())).toMatchObject({ kind: 'failed', reason: 'refused' });
    expect(await place.port.dryRun(place.targetOf(spec), gone, signal)).toMatchObject({ ok: false, reason: 'refused' });
    const foreign: Operation = { op: 'restart', object };
    expect(await place.port.apply(place.targetOf(spec), foreign, await contextOf())).toMatchObject({ kind: 'failed', reason: 'invalid' });
  });

  test('that a policy wants a person for is not made, and the outcome says so', async () => {
    await place.gateway.apply({
      kind: 'PolicySet',
      metadata: { name: 'attended' },
      spec: {
        cedar:
          '@id("attended") @approve("role:reviewer") @expires("1h") @advice("A person allows this.")\nforbid (principal, action == Quarterdeck::Action::"callTool", resource) when { !resource.hints.readOnly } unless { context.approvedCall };',
      },
    });
    const outcome = await place.port.apply(place.targetOf(spec), paint, await contextOf());
    expect(outcome).toMatchObject({ kind: 'failed', reason: 'refused', message: expect.stringMatching(/(person|role:reviewer)/) });
    expect(server.state.sets).toEqual([]);
  });
});
