import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PolicyPlace, startPolicyPlace } from '../support/policy-place.ts';
import { pollUntil } from '../support/poll-until.ts';
import { guestToken } from '../support/running-gateway.ts';

const forbidden = `@id("no-x")
forbid (principal is Quarterdeck::Agent, action == Quarterdeck::Action::"callTool", resource) when { context.arguments.paths.contains("/x") };`;
const policySet = {
  apiVersion: 'quarterdeck.dev/v1alpha1',
  kind: 'PolicySet',
  metadata: { name: 'paths' },
  spec: { cedar: forbidden },
};

let place: PolicyPlace;
beforeAll(async () => {
  place = await startPolicyPlace({
    resources: [
      { kind: 'AccessBinding', metadata: { name: 'readers' }, spec: { subjects: [{ agentRole: 'reader' }], toolsets: ['counting'] } },
    ],
    // a publication that nobody signed: the api, which starts beside it, has no good policies at all
    beforeApi: async (database) => {
      await database.$client.query(
        `insert into policy_bundles (org, project, version, content, signature, published_by) values ('default', 'default', 7, '{}', 'no', 'x')`,
      );
    },
  });
});
afterAll(() => place.close());

const apply = (documents: object[], token?: string) =>
  place.request('POST', '/apply', { body: { documents }, ...(token ? { token } : {}) });

test('without usable policies everything is denied but to look and to publish good ones, by administrators, stamped so', async () => {
  const toolset = {
    apiVersion: policySet.apiVersion,
    kind: 'Toolset',
    metadata: { name: 'more' },
    spec: { servers: [{ name: 'counting' }] },
  };
  expect((await apply([toolset])).body.code).toBe('not_permitted');
  const launched = await place.request('POST', '/default/default/fleets/survey/runs', { body: { inputs: {} } });
  expect(launched.status).toBeGreaterThanOrEqual(400);
  expect((await place.request('GET', '/default/default/resources', { token: guestToken })).body.code).toBe('not_permitted');
  expect((await place.request('GET', '/default/default/resources')).status).toBe(200);
  const publish = (token?: string) =>
    place.request('POST', '/default/default/policy/publish', {
      body: { documents: [policySet], acceptFlips: true },
      ...(token ? { token } : {}),
    });
  expect((await publish(guestToken)).body.code).toBe('not_permitted');
  // newer than what is damaged, so that no gateway takes it for an old one
  expect(await publish()).toMatchObject({ status: 201, body: { version: 8 } });
  const row = await place.gateway.auditRow(({ action, facts }) => action === 'applyResource' && facts.change === 'published');
  expect(row).toMatchObject({ person: 'admin', stamp: 'break-glass' });
  // from now on the project's own policies decide again, in the api and in the gateway
  await pollUntil(async () => ((await apply([toolset])).status === 200 ? true : undefined), 'the api with good policies');
  await pollUntil(async () => {
    const answer = await place.call(await place.agentToken('reader'), 'look', { path: '/x' });
    return answer.error ? true : undefined;
  }, 'the gateway with good policies');
  const usual = await place.gateway.auditRow(({ action, resource }) => action === 'applyResource' && resource === 'Toolset/more');
  expect(usual.stamp).toBe('admin-token');
});
