import { expect, test } from 'vitest';
import { faultAt } from '../../reconcile/fault-at.ts';

test('a fault is told with the object that has it, and one that is written otherwise is told as it is', () => {
  expect(faultAt('unhealthy Deployment ImagePullBackOff @ apps/Deployment/mcp/github-mcp')).toBe(
    'unhealthy Deployment/mcp/github-mcp ImagePullBackOff',
  );
  expect(faultAt('missing ConfigMap @ /ConfigMap/shop/settings')).toBe('missing ConfigMap/shop/settings');
  expect(faultAt('learned elsewhere @ apps/Deployment/shop/web')).toBe('learned elsewhere, Deployment/shop/web');
  expect(faultAt('unhealthy Deployment')).toBe('unhealthy Deployment');
});
