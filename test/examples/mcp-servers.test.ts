import { expect, test } from 'vitest';
import type { KubernetesTarget } from '../../activities/targets/kubernetes-connection.ts';
import { declaredOf } from '../../activities/targets/kubernetes-manifests.ts';
import { loadExample, ofKind } from './load-example.ts';

test('the example of three MCP servers is valid, and its manifests can be kept', () => {
  const resources = loadExample('mcp-servers');
  const [target] = ofKind(resources, 'ReconcileTarget');
  const kept = declaredOf({
    org: 'default',
    project: 'default',
    name: 'mcp-servers',
    generation: 1,
    spec: target?.spec,
  } as KubernetesTarget);
  expect(kept).toMatchObject({ ok: true });
  expect(kept.ok && kept.declared.map(({ ref, wave }) => [ref.name, wave])).toEqual([
    ['github-mcp', 0],
    ['slack-mcp', 0],
    ['files-mcp', 1],
  ]);
  const roles = ofKind(resources, 'AgentRole').map(({ metadata }) => metadata.name);
  expect(roles).toContain(target?.spec.escalation.role);
});
