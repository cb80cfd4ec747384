import { mostProposalBytes, type Proposal, ProposalSchema } from '../schema/reconcile/plan.ts';

export type ReadProposal = { ok: true; proposal: Proposal } | { ok: false; complaint: string };

const mostComplaints = 5;
const encoder = new TextEncoder();

const refused = (complaint: string): ReadProposal => ({ ok: false, complaint });

/** Which operation a complaint is about, in words that a model can mend: the union by itself would name every kind of operation. */
const operationComplaint = (operation: unknown, index: number): string => {
  const { op } = (operation ?? {}) as { op?: unknown };
  return typeof op === 'string' ? `operations/${index} (op ${JSON.stringify(op.slice(0, 64))})` : `operations/${index}, which names no op`;
};

/**
 * Reads a model's answer: one JSON object of `ProposalSchema` and nothing around it. Prose, cut JSON, an operation that does not exist, a
 * field that is not known and anything too large are refused, with a complaint to send back.
 */
export const readProposal = (text: string): ReadProposal => {
  if (text.length > mostProposalBytes || encoder.encode(text).length > mostProposalBytes)
    return refused(`The answer is larger than ${mostProposalBytes} bytes; answer with one short JSON object.`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refused('The answer is no JSON, or is cut off; answer with one complete JSON object and nothing around it.');
  }
  const parsed = ProposalSchema.safeParse(value);
  if (parsed.success) return { ok: true, proposal: parsed.data };
  const operations = (value as { operations?: unknown } | null)?.operations;
  const complaints = parsed.error.issues.slice(0, mostComplaints).map(({ path, message }) => {
    const [field, index] = path;
    if (field !== 'operations' || typeof index !== 'number' || !Array.isArray(operations)) return `${path.join('/') || 'it'}: ${message}`;
    return `${operationComplaint(operations[index], index)} is no operation that there is, or has a member too many, too few or of a wrong kind`;
  });
  return refused(`The answer does not fit the schema: ${complaints.join('; ')}.`);
};
