import { randomBytes } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import { holdIdFrom, NameSchema } from '../../schema/ids.ts';
import {
  HoldRequestSchema,
  PauseRequestSchema,
  ReleaseRequestSchema,
  ResumeRequestSchema,
  ThawRequestSchema,
} from '../../schema/reconcile/requests.ts';
import { listFixes } from '../../store/reconcile-fixes.ts';
import { liftHold, listHolds, placeHold } from '../../store/reconcile-holds.ts';
import { liftPause, placePause } from '../../store/reconcile-pauses.ts';
import { listSteps } from '../../store/reconcile-steps.ts';
import { type TargetKey, thawTarget } from '../../store/reconcile-targets.ts';
import type { ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { describeCause } from './describe-cause.ts';
import { explainTarget } from './explain-target.ts';
import { heldObjectKey } from './hold-object.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { readFixEvidence } from './read-fix-evidence.ts';
import { parseAs, readBody, readQuery, tenancyOf } from './read-request.ts';
import { getTarget, listTargetStatus, readTargetDetail } from './reconcile-targets.ts';
import { recordChange } from './record-change.ts';

const HistoryQuerySchema = z.object({ limit: z.coerce.number().int().min(1).max(500).default(20) });

/**
 * What people see of the reconciler and tell it: where targets are and why, a look at once, pauses, holds, and the lifting of what froze one.
 * Each change is in the audit with its reason. The api writes rows and wakes workflows; it changes nothing of what is kept.
 */
export const reconcileRoutes = (dependencies: ApiDependencies & { permit: Permit }): Hono<ApiEnvironment> => {
  const { database, audit, permit, temporal, clock, logger } = dependencies;
  const routes = new Hono<ApiEnvironment>();
  const keyOf = (context: Context<ApiEnvironment>): TargetKey => ({
    ...tenancyOf(context),
    target: parseAs(NameSchema, context.req.param('target'), 'name of a target'),
  });
  const about = ({ target }: { target: string }) => ({ kind: 'ReconcileTarget', name: target });

  /** A workflow that is told late only looks later: the row is what counts, and the controller finds it too. */
  const wake = async (key: TargetKey): Promise<void> => {
    await temporal
      .startReconcile(key)
      .catch((error) => logger.warn({ cause: describeCause(error), target: key.target }, 'a target was not looked at at once'));
  };

  routes.get('/:org/:project/reconcile', async (context) => {
    const tenancy = tenancyOf(context);
    await permit(context.get('person'), 'getResource', tenancy);
    return context.json({ targets: await listTargetStatus(database, tenancy, undefined, clock()) });
  });

  routes.get('/:org/:project/reconcile/targets/:target', async (context) => {
    const key = keyOf(context);
    await permit(context.get('person'), 'getResource', key, about(key));
    return context.json(await readTargetDetail(dependencies, key));
  });

  routes.get('/:org/:project/reconcile/targets/:target/history', async (context) => {
    const key = keyOf(context);
    const { limit } = readQuery(context, HistoryQuerySchema);
    await permit(context.get('person'), 'getResource', key, about(key));
    // of one that is declared no more the history stays
    const fixes = await listFixes(database, key, key.target, { limit });
    if (fixes.length === 0) await getTarget(database, key);
    return context.json({ fixes: await Promise.all(fixes.map(async (fix) => ({ ...fix, steps: await listSteps(database, fix.id) }))) });
  });

  routes.get('/:org/:project/reconcile/targets/:target/fixes/:fix/evidence', async (context) =>
    context.json(await readFixEvidence(dependencies, context.get('person'), keyOf(context), context.req.param('fix'))),
  );

  routes.get('/:org/:project/reconcile/targets/:target/explain', async (context) => {
    const key = keyOf(context);
    await permit(context.get('person'), 'getResource', key, about(key));
    return context.json(await explainTarget(dependencies, key));
  });

  routes.post('/:org/:project/reconcile/targets/:target/now', async (context) => {
    const key = keyOf(context);
    const decision = await permit(context.get('person'), 'steerTarget', key, about(key));
    await getTarget(database, key);
    await recordChange(audit, database, key, context.get('person'), decision, {
      action: 'steerTarget',
      resource: `ReconcileTarget/${key.target}`,
      facts: { what: 'now' },
    });
    await temporal.startReconcile(key);
    return context.json(await readTargetDetail(dependencies, key), 202);
  });

  routes.post('/:org/:project/reconcile/pause', async (context) => {
    const tenancy = tenancyOf(context);
    const { target = '', seconds, reason } = await readBody(context, PauseRequestSchema);
    const person = context.get('person');
    const key = { ...tenancy, target };
    const decision = await permit(person, 'steerTarget', tenancy, target ? about(key) : undefined);
    if (target) await getTarget(database, key);
    const untilAt = seconds === undefined ? null : new Date(clock().getTime() + seconds * 1000);
    const pause = await inTransaction(database, async (within) => {
      const placed = await placePause(within, { ...key, reason, pausedBy: person.id, decisionId: decision.decisionId, untilAt });
      const facts = { what: 'pause', reason, until: placed.untilAt };
      await recordChange(audit, within, tenancy, person, decision, {
        action: 'steerTarget',
        resource: `ReconcileTarget/${target || '*'}`,
        facts,
      });
      return placed;
    });
    return context.json(pause, 201);
  });

  routes.post('/:org/:project/reconcile/resume', async (context) => {
    const tenancy = tenancyOf(context);
    const { target = '', reason } = await readBody(context, ResumeRequestSchema);
    const person = context.get('person');
    const key = { ...tenancy, target };
    const decision = await permit(person, 'steerTarget', tenancy, target ? about(key) : undefined);
    const lifted = await inTransaction(database, async (within) => {
      const pause = await liftPause(within, key);
      if (!pause) return undefined;
      const facts = { what: 'resume', reason, pausedBy: pause.pausedBy, pausedAt: pause.pausedAt };
      await recordChange(audit, within, tenancy, person, decision, {
        action: 'steerTarget',
        resource: `ReconcileTarget/${target || '*'}`,
        facts,
      });
      return pause;
    });
    if (!lifted) throw new PlatformError('not_found', await whyNotPaused(key));
    const resumed = await listTargetStatus(database, tenancy, target ? await getTarget(database, key) : undefined, clock());
    for (const one of resumed) if (one.drifts.length > 0) await wake({ ...tenancy, target: one.target });
    return context.json({ ...lifted, resumed: resumed.map((one) => one.target) });
  });

  /** What keeps a target still though no pause of its own does. */
  const whyNotPaused = async (key: TargetKey): Promise<string> => {
    if (key.target === '') return `Nothing pauses all of ${key.org}/${key.project}.`;
    const [status] = await listTargetStatus(database, key, await getTarget(database, key), clock());
    if (status?.pause)
      return `${key.target} has no pause of its own: all of ${key.org}/${key.project} is paused; \`quarterdeck reconcile resume --all\` lifts that.`;
    if (status?.isPausedBySpec) return `${key.target} is declared \`paused: true\`; take that out and apply it.`;
    return `${key.target} is not paused.`;
  };

  routes.post('/:org/:project/reconcile/targets/:target/holds', async (context) => {
    const key = keyOf(context);
    const { object, path = '', seconds, reason } = await readBody(context, HoldRequestSchema);
    const person = context.get('person');
    const decision = await permit(person, 'steerTarget', key, about(key));
    const held = heldObjectKey(await getTarget(database, key), object);
    const hold = await inTransaction(database, async (within) => {
      const untilAt = new Date(clock().getTime() + seconds * 1000);
      const id = holdIdFrom(randomBytes(10));
      const placed = await placeHold(within, {
        ...key,
        id,
        object: held,
        path,
        reason,
        heldBy: person.id,
        decisionId: decision.decisionId,
        untilAt,
      });
      const facts = { what: 'hold', hold: id, object: held, path, reason, until: placed.untilAt };
      await recordChange(audit, within, key, person, decision, { action: 'steerTarget', resource: `ReconcileTarget/${key.target}`, facts });
      return placed;
    });
    await wake(key); // whoever is about to change it hears of it now
    return context.json(hold, 201);
  });

  routes.post('/:org/:project/reconcile/targets/:target/holds/release', async (context) => {
    const key = keyOf(context);
    const { id, reason } = await readBody(context, ReleaseRequestSchema);
    const person = context.get('person');
    const decision = await permit(person, 'steerTarget', key, about(key));
    const released = await inTransaction(database, async (within) => {
      const now = clock();
      const holds = (await listHolds(within, key, now)).filter((hold) => id === undefined || hold.id === id);
      for (const hold of holds) {
        await liftHold(within, { ...key, id: hold.id }, now);
        const facts = { what: 'release', hold: hold.id, heldBy: hold.heldBy, heldAt: hold.heldAt, reason };
        await recordChange(audit, within, key, person, decision, {
          action: 'steerTarget',
          resource: `ReconcileTarget/${key.target}`,
          facts,
        });
      }
      return holds;
    });
    if (released.length === 0)
      throw new PlatformError(
        'not_found',
        `${key.target} has no such hold; \`quarterdeck reconcile explain ${key.target}\` says what is held.`,
      );
    await wake(key);
    return context.json({ released });
  });

  routes.post('/:org/:project/reconcile/targets/:target/thaw', async (context) => {
    const key = keyOf(context);
    const { reason } = await readBody(context, ThawRequestSchema);
    const person = context.get('person');
    const decision = await permit(person, 'thawTarget', key, about(key));
    await inTransaction(database, async (within) => {
      if (!(await thawTarget(within, key))) throw new PlatformError('not_found', `${key.target} is not frozen.`);
      await recordChange(audit, within, key, person, decision, {
        action: 'thawTarget',
        resource: `ReconcileTarget/${key.target}`,
        facts: { reason },
      });
    });
    await wake(key);
    return context.json(await readTargetDetail(dependencies, key));
  });

  return routes;
};
