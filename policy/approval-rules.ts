import type { Context, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { ApprovalRule } from '../schema/approval.ts';

/** A policy that lets a call through only after people approved it, as its annotations say. */
export type AnnotatedRule = ApprovalRule & { expiresInSeconds: number; reason: string };

/** The actions that can be approved, and what their context says where nobody approved anything. */
const approvableActions: ReadonlySet<string> = new Set(['callTool', 'applyFix']);
const notApproved: Context = { approvers: [], approvedCall: false };

/** A context with what it says of approvals, for an action that can be approved. */
export const withApproval = (action: string, context: Context): Context =>
  approvableActions.has(action) ? { ...notApproved, ...context } : context;

export const asApproved = (context: Context): Context => ({ ...context, approvedCall: true });

/** Whether a refusal of a request can mean that a person is needed: it is of one call or one fix, which nobody approved. */
export const canNeedPerson = ({
  action,
  context,
  forAnyArguments = false,
}: {
  action: string;
  context: Context;
  forAnyArguments?: boolean;
}): boolean => approvableActions.has(action) && !context.approvedCall && !forAnyArguments;

const usualExpirySeconds = 15 * 60;
const longestExpirySeconds = 30 * 86_400;
const mostApprovals = 10;
const approverForm = /^(role|group|person):[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const unitSeconds: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 };

const readExpiry = (text: string | undefined): number | undefined => {
  if (text === undefined) return usualExpirySeconds;
  const [, count, unit = ''] = /^(\d{1,5})([mhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (unitSeconds[unit] ?? Number.NaN);
  return seconds >= 60 && seconds <= longestExpirySeconds ? seconds : undefined;
};

type Reading = { rule: AnnotatedRule } | { problem: string } | undefined;

/**
 * Reads what a policy's annotations say of approvals; undefined for a policy that has nothing to do with them.
 * `@approve("role:reviewer, group:ops")` says who may approve, `@approvals("2")` how many different people have to (1),
 * `@expires("3d")` within which time (15m), `@acr("2")` how well their login has to prove who they are (2: by two things), `@reason("…")` what they are told.
 */
export const readApprovalRule = (policy: string, { annotations = {}, conditions }: PolicyJson): Reading => {
  const { approve, approvals = '1', expires, acr, reason, advice } = annotations;
  const readsIt = JSON.stringify(conditions).includes('"approvedCall"');
  if (approve === undefined || approve === null) {
    const stray = ['approvals', 'expires', 'acr'].find((name) => name in annotations);
    if (stray) return { problem: `\`@${stray}\` says more about \`@approve\`, which is missing` };
    return readsIt ? { problem: 'it reads `context.approvedCall`, so say who may approve: `@approve("role:reviewer")`' } : undefined;
  }
  const approvers = [...new Set(approve.split(',').map((name) => name.trim()))];
  const stranger = approvers.find((name) => !approverForm.test(name));
  if (stranger !== undefined)
    return { problem: `\`@approve\` takes role:NAME, group:NAME or person:NAME, with commas between them, not \`${stranger}\`` };
  const count = /^\d{1,2}$/.test(approvals ?? '') ? Number(approvals) : 0;
  if (count < 1 || count > mostApprovals) return { problem: `\`@approvals\` takes a number of people from 1 to ${mostApprovals}` };
  const expiresInSeconds = readExpiry(expires ?? undefined);
  if (expiresInSeconds === undefined) return { problem: '`@expires` takes a time from 1m to 30d, such as 15m, 8h or 3d' };
  if (acr !== undefined && !/^[1-9]$/.test(acr ?? '')) return { problem: '`@acr` takes a level of login from 1 to 9; 2 is by two things' };
  if (!readsIt)
    return {
      problem: 'with `@approve` it has to look at `context.approvedCall`: a forbid `unless`, a permit `when` the call was approved',
    };
  const level = acr === undefined ? {} : { acr: Number(acr) };
  return { rule: { policy, approvers, count, ...level, expiresInSeconds, reason: reason ?? advice ?? '' } };
};

/** The rules of a policy set, by the ids of their policies. */
export const approvalRules = (policies: ReadonlyMap<string, PolicyJson>): ReadonlyMap<string, AnnotatedRule> =>
  new Map(
    [...policies].flatMap(([id, json]) => {
      const reading = readApprovalRule(id, json);
      return reading && 'rule' in reading ? [[id, reading.rule] as const] : [];
    }),
  );

/** Whether a person is among those who may approve by a rule. */
export const fitsRule = (
  { approvers }: Pick<ApprovalRule, 'approvers'>,
  person: { id: string; groups: string[]; roles: string[] },
): boolean =>
  approvers.some((approver) => {
    const [kind, name = ''] = approver.split(':');
    return kind === 'role' ? person.roles.includes(name) : kind === 'group' ? person.groups.includes(name) : person.id === name;
  });
