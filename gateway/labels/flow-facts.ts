import type { Context } from '@cedar-policy/cedar-wasm/nodejs';
import { labelText } from '../../schema/flow-label.ts';
import type { Decision } from '../decide.ts';
import type { Carried } from './create-label-book.ts';

/** What a decision's context says of what the caller carries. */
export const flowFacts = (carried: Carried | undefined): Context => (carried ? { flow: carried.context } : {});

const flowRules = /^platform\/(sink|model)-/;

/** Where a label refuses: what the caller carries and from where; empty where other rules decide. */
export const flowReason = ({ policies }: Pick<Decision, 'policies'>, carried: Carried | undefined): string => {
  if (!carried || !policies.some((id) => flowRules.test(id))) return '';
  const { label, subject } = carried;
  // of an agent everybody knows which run that is
  const whose = subject.startsWith('agent:') ? 'It carries' : `The client ${subject} carries`;
  return `${whose}: ${labelText(label)}.`;
};
