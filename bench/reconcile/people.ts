import { isDeepStrictEqual } from 'node:util';
import type { Approval, ApprovalDetail } from '../../schema/approval.ts';
import { passiveOperations } from '../../schema/reconcile/operation.ts';
import type { PlatformClient } from './platform-client.ts';

const fits = (part: unknown, whole: unknown): boolean =>
  part !== null && typeof part === 'object' && !Array.isArray(part)
    ? whole !== null &&
      typeof whole === 'object' &&
      Object.entries(part).every(([name, value]) => fits(value, (whole as Record<string, unknown>)[name]))
    : isDeepStrictEqual(part, whole);

/** Operations in what people are shown, wherever the text has them: in the order of the steps. */
export const operationsIn = (value: unknown): Record<string, unknown>[] => {
  if (value === null || typeof value !== 'object') return [];
  if (Array.isArray(value)) return value.flatMap(operationsIn);
  const { op, operation, steps, plan, ...rest } = value as Record<string, unknown>;
  if (typeof op === 'string') return [{ op, ...rest }];
  return operationsIn(plan ?? steps ?? operation ?? []);
};

/** Whether these are the operations that somebody careful waits for, neither more nor others. */
export const isWhatIsRight = (operations: readonly object[], right: readonly object[]): boolean =>
  operations.length === right.length && right.every((each, index) => fits(each, operations[index]));

export type Answer = { target: string; verdict: 'approve' | 'deny'; operations: readonly Record<string, unknown>[]; by: string };

/**
 * People who answer approvals by the real api. Each reads what would be run, and approves what the case's right fix is, and nothing else:
 * what a target has no right fix for is denied.
 * @param rightOf - what is right for a target; undefined where the target is not of the bench
 */
export const employPeople = (
  people: readonly { name: string; client: PlatformClient }[],
  rightOf: (target: string) => readonly object[] | undefined,
  onRefusal: (text: string) => void,
) => {
  const stopped = new AbortController();
  const answers: Answer[] = [];
  const refused = new Set<string>();
  const answer = async ({ name, client }: { name: string; client: PlatformClient }, approval: Approval): Promise<void> => {
    if (approval.kind !== 'fix' || approval.decisions.some(({ person }) => person === name)) return;
    const shown: ApprovalDetail = await client.get(`/approvals/${approval.id}`);
    const text = JSON.parse(shown.arguments);
    const target = String(text.target ?? text.plan?.target);
    const right = rightOf(target);
    if (right === undefined) return;
    const operations = operationsIn(text);
    // to ask, to wait and to do nothing may be done always
    const isHarmless = operations.length > 0 && operations.every(({ op }) => passiveOperations.has(String(op)));
    const verdict = isHarmless || isWhatIsRight(operations, right) ? 'approve' : 'deny';
    await client.post(`/approvals/${approval.id}/${verdict}`, { digest: approval.digest });
    answers.push({ target, verdict, operations, by: name });
  };
  const running = Promise.all(
    people.map(async (person) => {
      while (!stopped.signal.aborted) {
        const { approvals }: { approvals: Approval[] } = await person.client.get('/approvals').catch(() => ({ approvals: [] }));
        // somebody else may have answered meanwhile, or may have to
        for (const approval of approvals)
          await answer(person, approval).catch((error) => {
            // somebody else was first
            if (!refused.has(approval.id) && !/: 409 /.test(error.message))
              onRefusal(`${person.name}, ${approval.subject}: ${error.message}`);
            refused.add(approval.id);
          });
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
    }),
  );
  return {
    answers: answers as readonly Answer[],
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
};
