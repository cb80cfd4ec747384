import type { Declared } from '../../store/declared.ts';

/** Whether an org has labels at all, whether a policy of a tenant looks at them, and whether anything in it is secret. */
export type LabelUse = { isUsed: boolean; isLookedAt: boolean; hasSecrets: boolean };

const unused: LabelUse = { isUsed: false, isLookedAt: false, hasSecrets: false };
const known = new WeakMap<Declared, Map<string, LabelUse>>();

const findUse = (declared: Declared, org: string): LabelUse => {
  const flows = declared.list('McpServer', { org }).flatMap(({ spec }) => (spec.flow ? [spec.flow] : []));
  const inputs = declared.list('Fleet', { org }).flatMap(({ spec }) => spec.inputs);
  const isLookedAt = declared.list('PolicySet', { org }).some(({ spec }) => spec.cedar.includes('flow'));
  if (flows.length === 0 && !isLookedAt && !inputs.some(({ secrecy, source }) => secrecy !== undefined || source !== undefined))
    return unused;
  const ofFlows = flows.flatMap((flow) => [flow, ...Object.values(flow.tools), ...Object.values(flow.prompts), ...flow.resources]);
  return { isUsed: true, isLookedAt, hasSecrets: [...ofFlows, ...inputs].some(({ secrecy = 0 }) => secrecy > 0) };
};

/** Worked out once for each view of what is declared: an org that declares no flow pays nothing for labels. */
export const labelUse = (declared: Declared, org: string): LabelUse => {
  const found = known.get(declared)?.get(org);
  if (found) return found;
  const ofView = known.get(declared) ?? new Map<string, LabelUse>();
  const use = findUse(declared, org);
  known.set(declared, ofView.set(org, use));
  return use;
};
