import { Hono } from 'hono';
import { z } from 'zod';
import { PlatformError } from '../../schema/errors.ts';
import { NameSchema } from '../../schema/ids.ts';
import { BacktestRequestSchema } from '../../schema/policy-backtest.ts';
import { PublishRequestSchema, ValidateRequestSchema } from '../../schema/policy-publication.ts';
import { SuggestQuerySchema } from '../../schema/policy-suggestion.ts';
import type { ApiConfig, ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { candidatePolicies } from './candidate-policies.ts';
import { compilePolicies } from './compile-policies.ts';
import type { DocumentIssue } from './document-issue.ts';
import { explainRecorded } from './explain-recorded.ts';
import type { Permit } from './permit.ts';
import { waitingAnswer } from './propose-change.ts';
import { publishPolicies } from './publish-policies.ts';
import { parseAs, readBody, readQuery, tenancyOf } from './read-request.ts';
import { renderProblem } from './render-error.ts';
import { suggestPolicies } from './suggest-policies.ts';
import { backtest } from './try-policies.ts';
import { validatePolicies } from './validate-policies.ts';

const DecisionIdSchema = z.string().regex(/^dec_[A-Za-z0-9_-]{1,60}$/, 'a decision id such as `dec_` and some characters');

const invalid = (issues: readonly DocumentIssue[]): PlatformError =>
  new PlatformError('resource_invalid', `The policies are not valid: ${issues[0]?.path.join('.') || 'root'}: ${issues[0]?.message}.`);

/** What the record tells of policies: decisions explained, and policies tried on recorded calls before they are in force. */
export const policyRoutes = (
  { profile }: Pick<ApiConfig, 'profile'>,
  dependencies: Pick<ApiDependencies, 'database' | 'audit' | 'signPolicies' | 'clock' | 'approvalKeys' | 'rego'> & { permit: Permit },
): Hono<ApiEnvironment> => {
  const { database, permit } = dependencies;
  const routes = new Hono<ApiEnvironment>();

  routes.get('/:org/:project/policy/decisions/:id', async (context) => {
    const tenancy = tenancyOf(context);
    const id = parseAs(DecisionIdSchema, context.req.param('id'), 'decision id');
    // what is opaque to the caller is told to whoever may read the audit
    await permit(context.get('person'), 'readAudit', tenancy);
    return context.json(await explainRecorded(dependencies, tenancy, id));
  });

  routes.post('/:org/:project/policy/backtest', async (context) => {
    const tenancy = tenancyOf(context);
    const { documents, isWhole, ...window } = await readBody(context, BacktestRequestSchema);
    await permit(context.get('person'), 'readAudit', tenancy);
    const candidate = await candidatePolicies(database, tenancy, documents, isWhole);
    if (!candidate.ok) return renderProblem(context, invalid(candidate.issues), candidate.issues);
    return context.json(await backtest(dependencies, tenancy, candidate, window));
  });

  routes.post('/:org/:project/policy/validate', async (context) => {
    const tenancy = tenancyOf(context);
    const { documents } = await readBody(context, ValidateRequestSchema);
    await permit(context.get('person'), 'getResource', tenancy);
    const candidate = await candidatePolicies(database, tenancy, documents, false);
    if (!candidate.ok) return renderProblem(context, invalid(candidate.issues), candidate.issues);
    const compiled = await compilePolicies(dependencies.rego, tenancy, candidate);
    if (!compiled.ok) return renderProblem(context, invalid(compiled.issues), compiled.issues);
    return context.json(await validatePolicies(dependencies.rego.pool, tenancy, candidate, compiled.policySets));
  });

  routes.post('/:org/:project/policy/publish', async (context) => {
    const tenancy = tenancyOf(context);
    const request = await readBody(context, PublishRequestSchema);
    const person = context.get('person');
    await permit(person, 'readAudit', tenancy);
    const permitChange = (name: string) => permit(person, 'applyResource', tenancy, { kind: 'PolicySet', name });
    const outcome = await publishPolicies(dependencies, profile, person, tenancy, request, permitChange);
    if (!outcome.ok) return renderProblem(context, invalid(outcome.issues), outcome.issues);
    return 'waiting' in outcome
      ? context.json({ ...waitingAnswer(outcome.waiting), flipped: outcome.flipped }, 202)
      : context.json(outcome.publication, 201);
  });

  routes.get('/:org/:project/policy/suggestions/:role', async (context) => {
    const tenancy = tenancyOf(context);
    const role = parseAs(NameSchema, context.req.param('role'), 'role');
    const window = readQuery(context, SuggestQuerySchema);
    await permit(context.get('person'), 'readAudit', tenancy);
    return context.json(await suggestPolicies(database, tenancy, role, window));
  });

  return routes;
};
