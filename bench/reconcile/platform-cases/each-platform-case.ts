// one line a case, in the order of the taxonomy
export { brokenRoute } from './g01-broken-route.ts';
export { changedTool } from './g03-changed-tool.ts';
export { sameNames } from './g05-same-names.ts';
export { brokenPolicies } from './g07-broken-policies.ts';
