import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { proofAlgorithms } from '../../policy/check-token-proof.ts';
import { PlatformError } from '../../schema/errors.ts';
import { isPersonHalted } from '../../store/halts.ts';
import type { ApiConfig, ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { approvalPages } from './approval-pages.ts';
import { approvalRoutes } from './approval-routes.ts';
import { auditRoutes } from './audit-routes.ts';
import { apiResourceOf, authenticate } from './authenticate.ts';
import { grantRoutes } from './grant-routes.ts';
import { guardRequests, nameRequest } from './guard-requests.ts';
import { haltRoutes } from './halt-routes.ts';
import { keyRoutes } from './key-routes.ts';
import { limitRoutes } from './limit-routes.ts';
import { loginOf } from './login-of.ts';
import { peopleRoutes } from './people-routes.ts';
import { createPermit } from './permit.ts';
import { pinRoutes } from './pin-routes.ts';
import { policyRoutes } from './policy-routes.ts';
import { reconcileRoutes } from './reconcile-routes.ts';
import { refuseHalted } from './refuse-halted.ts';
import { createErrorRenderer } from './render-error.ts';
import { resourceRoutes } from './resource-routes.ts';
import { retentionRoutes } from './retention-routes.ts';
import { ruleRoutes } from './rule-routes.ts';
import { runRoutes } from './run-routes.ts';
import { signingKeyRoutes } from './signing-key-routes.ts';
import { slackRoutes } from './slack-routes.ts';

const maxBodyBytes = 4 * 1024 * 1024;

/** The routes of the control plane, each request named, guarded, authenticated and bounded before a route sees it. */
export const createApi = (config: ApiConfig, dependencies: ApiDependencies): Hono<ApiEnvironment> => {
  const { database, audit, logger } = dependencies;
  const permit = createPermit(dependencies);
  const api = new Hono<ApiEnvironment>();
  api.onError(createErrorRenderer(logger, config.publicUrl));
  api.notFound((context) => {
    throw new PlatformError('not_found', `There is nothing at ${context.req.method} ${context.req.path}.`);
  });
  api.use(nameRequest, guardRequests(config));

  // what a person's browser finds at the address of the ready file until it is given a page
  api.get('/', (context) => context.json({ name: 'quarterdeck', api: '/api/v1alpha1', health: '/api/healthz' }));
  api.get('/api/healthz', (context) => context.json({ status: 'ok' }));

  if (config.issuer) {
    const { issuerUrl } = config.issuer;
    // RFC 9728 §3.1: the well-known part stands before the path of the resource
    api.get('/.well-known/oauth-protected-resource/api', (context) =>
      context.json({
        resource: apiResourceOf(config.publicUrl),
        authorization_servers: [issuerUrl],
        bearer_methods_supported: ['header'],
        scopes_supported: ['api'],
        dpop_signing_alg_values_supported: proofAlgorithms,
        resource_name: 'Quarterdeck api',
      }),
    );
  }

  if (dependencies.channels) api.route('/api/slack', slackRoutes(config, { ...dependencies, permit }, dependencies.channels));
  api.route('/approvals', approvalPages);

  const versioned = new Hono<ApiEnvironment>();
  versioned.use(authenticate(dependencies, config));
  // a person who is halted does nothing here, and lifts nothing; what else is halted does not keep people from looking and lifting
  versioned.use(async (context, next) => {
    const { org, id: person } = context.get('person');
    if (await isPersonHalted(database, org, person)) await refuseHalted(database, { org, project: '', person });
    await next();
  });
  versioned.use(
    bodyLimit({
      maxSize: maxBodyBytes,
      onError: () => {
        throw new PlatformError('request_too_large', `The body is larger than ${maxBodyBytes / 1024 / 1024} MiB; send it in parts.`);
      },
    }),
  );
  versioned.get('/whoami', (context) => {
    const person = context.get('person');
    const { org, id, groups, roles, stamp } = person;
    return context.json({ org, id, groups, roles, stamp, login: loginOf(person, dependencies.clock()) });
  });
  versioned.route('/', auditRoutes({ ...dependencies, permit }));
  versioned.route('/', resourceRoutes(config, { ...dependencies, permit }));
  versioned.route('/', peopleRoutes({ database, audit, permit }));
  versioned.route('/', haltRoutes({ database, audit, permit }));
  versioned.route('/', reconcileRoutes({ ...dependencies, permit }));
  versioned.route('/', limitRoutes({ ...dependencies, permit }));
  versioned.route('/', pinRoutes(config, { ...dependencies, permit }));
  versioned.route('/', grantRoutes({ database, audit, permit }));
  versioned.route('/', signingKeyRoutes({ database, audit, permit }));
  versioned.route('/', keyRoutes({ ...dependencies, permit }));
  versioned.route('/', retentionRoutes({ ...dependencies, permit }));
  versioned.route('/', policyRoutes(config, { ...dependencies, permit }));
  versioned.route('/', runRoutes(config, { ...dependencies, permit }));
  versioned.route('/', ruleRoutes({ database, audit, permit }));
  versioned.route('/', approvalRoutes(config, { ...dependencies, permit }));
  api.route('/api/v1alpha1', versioned);
  return api;
};
