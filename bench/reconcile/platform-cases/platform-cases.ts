import { brokenRoute } from './g01-broken-route.ts';
import { changedTool } from './g03-changed-tool.ts';
import { sameNames } from './g05-same-names.ts';
import { brokenPolicies } from './g07-broken-policies.ts';
import type { PlatformCase } from './platform-case.ts';

/** Faults of the platform itself that are played so far, in the order of the taxonomy. */
export const platformCases: readonly PlatformCase[] = [brokenRoute, changedTool, sameNames, brokenPolicies];
