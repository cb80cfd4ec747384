import { type Context, Hono } from 'hono';
import {
  type Approval,
  type ApprovalDetail,
  ApprovalIdSchema,
  ApprovalQuerySchema,
  DecideApprovalSchema,
  EditFixSchema,
  type MayAnswer,
  type Verdict,
} from '../../schema/approval.ts';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import { withHiddenShown } from '../../schema/hidden-characters.ts';
import { type ApprovalKey, getApproval, listApprovals, noApproval } from '../../store/approvals.ts';
import type { Person } from '../../store/people.ts';
import { findFixOfApproval } from '../../store/reconcile-fixes.ts';
import { answerApproval, approvalTarget } from './answer-approval.ts';
import type { ApiConfig, ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { editFix } from './edit-fix.ts';
import type { Permit } from './permit.ts';
import { parseAs, readBody, readQuery, tenancyOf } from './read-request.ts';
import { recordChange } from './record-change.ts';
import { showApproval } from './show-approval.ts';

const passRefusal = (error: unknown): void => {
  if (!isPlatformError(error) || error.isRetryable) throw error;
};

/** Calls that wait for people: listed, shown with what would be run, approved or denied. Each person sees what is theirs to answer or to know. */
export const approvalRoutes = (config: ApiConfig, dependencies: ApiDependencies & { permit: Permit }): Hono<ApiEnvironment> => {
  const { database, authorize, permit } = dependencies;
  const routes = new Hono<ApiEnvironment>();
  const keyOf = (context: Context<ApiEnvironment>): ApprovalKey => ({
    ...tenancyOf(context),
    id: parseAs(ApprovalIdSchema, context.req.param('id'), 'approval id'),
  });
  const decideSight = (person: Person, approval: Approval) => authorize(person, 'seeApproval', approval, approvalTarget(approval, 'deny'));

  /**
   * @param verdict - what the person wants to answer; that they may not is on record, though they are told of nothing that is not theirs
   * @throws {PlatformError} `not_found`, also for one that is not for this person
   */
  const find = async (context: Context<ApiEnvironment>, verdict?: Verdict) => {
    const key = keyOf(context);
    const person = context.get('person');
    if (person.org !== key.org) throw noApproval(key);
    const approval = await getApproval(database, key);
    const sight = await decideSight(person, approval);
    if (sight.effect === 'deny') {
      if (verdict) await permit(person, 'approve', approval, approvalTarget(approval, verdict)).catch(passRefusal);
      throw noApproval(key);
    }
    return { person, approval, sight };
  };

  routes.get('/:org/:project/approvals', async (context) => {
    const tenancy = tenancyOf(context);
    const query = readQuery(context, ApprovalQuerySchema);
    const person = context.get('person');
    const visible: Approval[] = [];
    if (person.org === tenancy.org)
      for (const approval of await listApprovals(database, tenancy, query))
        if ((await decideSight(person, approval)).effect === 'allow') visible.push(approval);
    return context.json({ approvals: visible });
  });

  routes.get('/:org/:project/approvals/:id', async (context) => {
    const { person, approval, sight } = await find(context);
    const detail = await showApproval(dependencies, person, sight, approval);
    if (approval.state !== 'pending') return context.json(detail);
    const answer = await authorize(person, 'approve', approval, approvalTarget(approval, 'approve'));
    const why = answer.effect === 'allow' ? '' : (answer.advice ?? 'No policy allows it.');
    const you: MayAnswer = { mayApprove: answer.effect === 'allow', why };
    return context.json({ ...detail, you } satisfies ApprovalDetail);
  });

  routes.get('/:org/:project/approvals/:id/evidence', async (context) => {
    const { person, approval, sight } = await find(context);
    const fix = approval.kind === 'fix' ? await findFixOfApproval(database, approval, approval.id) : undefined;
    if (!fix?.evidenceDigest)
      throw new PlatformError('not_found', `There is no evidence to ${approval.id}: no model looked at what it is about.`);
    const text = await dependencies.contentStore.get(approval, fix.evidenceDigest);
    const resource = `Approval/${approval.id}`;
    await recordChange(dependencies.audit, database, approval, person, sight, {
      action: 'seeApproval',
      resource,
      facts: { evidence: fix.evidenceDigest },
    });
    return context.json({ digest: fix.evidenceDigest, evidence: withHiddenShown(text) });
  });

  for (const verdict of ['approve', 'deny'] satisfies Verdict[])
    routes.post(`/:org/:project/approvals/:id/${verdict}`, async (context) => {
      const body = await readBody(context, DecideApprovalSchema);
      const { person, approval } = await find(context, verdict);
      return context.json(await answerApproval(dependencies, config, person, approval, verdict, body));
    });

  routes.post('/:org/:project/approvals/:id/edit', async (context) => {
    const body = await readBody(context, EditFixSchema);
    const { person, approval } = await find(context, 'deny');
    return context.json(await editFix(dependencies, person, approval, body));
  });

  return routes;
};
