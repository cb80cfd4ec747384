import { describeStep } from '../../reconcile/describe-step.ts';
import { driftText, proposerText, reachText, undoTexts } from '../../reconcile/fix-text.ts';
import type { Approval, ApprovalState } from '../../schema/approval.ts';
import { withHiddenShown } from '../../schema/hidden-characters.ts';
import type { Fix } from '../../schema/reconcile/fix.ts';
import type { DeliveryEvent } from '../../schema/resources/channel.ts';
import { redactor } from '../../telemetry/redactor.ts';
import { fixEnding } from './fix-ending.ts';

/**
 * What people are told, however it reaches them. `facts` are in the order in which they are read at three in the morning. It holds nothing
 * that a channel's other readers may not see: of a call its names and never its arguments.
 */
export type ChannelMessage = {
  event: DeliveryEvent;
  title: string;
  facts: { label: string; text: string }[];
  /** What to do next, for people without buttons. */
  next: string;
  link: string | null;
  /** `isWhole`: all that would be done is in the message, so that who reads it knows what they would approve. */
  approval: { org: string; project: string; id: string; digest: string; state: ApprovalState; isWhole: boolean } | null;
};

const longest = 2_000;
const clean = (text: string): string => withHiddenShown(redactor.text(text));
const cut = (text: string): string =>
  text.length > longest ? `${text.slice(0, longest)} … (${text.length - longest} more characters)` : text;
/** Of observed systems and of models: shown with every character to be seen, cut, and without secrets. */
const shown = (text: string): string => cut(clean(text));
/** A line of theirs would pass for one of ours. */
const inLine = (text: string): string => text.replaceAll(/\r?\n|\r/g, '\\n');
const shownInLine = (text: string): string => shown(inLine(text));

const what = ({ kind, subject, server, tool }: Approval): string => {
  switch (kind) {
    case 'call':
      return `a call of ${tool} at ${server}`;
    case 'publication':
      return `policies: ${subject}`;
    case 'definitions':
      return `what a server offers: ${subject}`;
    default:
      return subject;
  }
};

const who = ({ rules }: Approval): string =>
  rules.map(({ count, approvers }) => `${count} of ${approvers.join(', ')}`).join('; and ') || 'an administrator';

const answered = ({ decisions }: Approval): string =>
  decisions.map(({ verdict, person, at }) => `${verdict === 'approve' ? 'approved' : 'denied'} by ${person} at ${at}`).join('; ');

const endings: Readonly<Record<ApprovalState, string>> = {
  pending: 'Waits for people',
  approved: 'Approved',
  denied: 'Denied',
  expired: 'Expired, which counts as denied',
  consumed: 'Approved and used',
};

/** What a command has to say beside, where the thing is not in the default place. */
const placeOptions = ({ org, project }: { org: string; project: string }): string =>
  `${org === 'default' ? '' : ` --org ${org}`}${project === 'default' ? '' : ` --project ${project}`}`;

export const approvalLink = (publicUrl: string, { org, project, id }: Pick<Approval, 'org' | 'project' | 'id'>): string =>
  `${publicUrl}/approvals/${org}/${project}/${id}`;

/** What a fix would do, a line a step. */
const stepsText = ({ steps }: NonNullable<Fix['plan']>): string =>
  steps.map(({ operation }, index) => clean(inLine(`${index + 1}. ${describeStep(operation)}`))).join('\n');
/** What would take each step back. */
const undoText = ({ steps }: NonNullable<Fix['plan']>): string =>
  steps.map(({ undo }, index) => `${index + 1}. ${undoTexts[undo.kind]}`).join('\n');
const isWhole = (fix: Fix | undefined): boolean => !fix?.plan || stepsText(fix.plan).length <= longest;

/** Of a fix also what it is for and what it would do: who is named by a target may know what becomes of it. Of a model only how sure it is. */
const fixFacts = ({ plan, review, beganAt }: Fix, sinceAt = beganAt): ChannelMessage['facts'] => {
  if (plan === null) return [];
  const { source } = plan;
  const sure = source.kind === 'model' ? `, ${Math.round(source.confidence * 100)} % sure` : '';
  return [
    ...(review ? [{ label: 'Fault', text: shownInLine(driftText(review.drift)) }] : []),
    { label: 'Since', text: sinceAt },
    { label: 'Would do', text: cut(stepsText(plan)) },
    { label: 'Undone by', text: cut(undoText(plan)) },
    ...(review ? [{ label: 'Reach', text: reachText(review.blast) }] : []),
    { label: 'Proposed by', text: `${proposerText(plan)}${sure}` },
  ];
};

/**
 * @param options.fix - what the approval is of, where it is of a fix
 * @param options.sinceAt - since when its fault is there, ISO 8601
 * @param options.publicUrl - origin of the api and console
 * @param options.contact - whom to call when nobody answers
 */
export const approvalMessage = (
  approval: Approval,
  {
    event,
    publicUrl,
    contact,
    fix,
    sinceAt,
  }: {
    event: Exclude<DeliveryEvent, 'page'>;
    publicUrl: string;
    contact: string | undefined;
    fix?: Fix | undefined;
    sinceAt?: string | undefined;
  },
): ChannelMessage => {
  const { org, project, id, digest, state, reason, person, run, expiresAt, decisions } = approval;
  const isOpen = state === 'pending';
  const at = placeOptions({ org, project });
  const ending = fixEnding(approval, fix, at);
  // nobody was too late: what it was asked for is over
  const isWithdrawn = !ending && state === 'expired' && fix !== undefined && fix.endedAt !== null && fix.state !== 'expired';
  const isUnanswered = state === 'expired' && !isWithdrawn && !ending;
  // whoever is to be called is called now
  const isForContact = isUnanswered || (ending !== undefined && fix?.state === 'frozen');
  return {
    event,
    title: shownInLine(
      `${isOpen ? 'Approval asked' : isWithdrawn ? 'Not asked any more' : (ending?.title ?? endings[state])}: ${what(approval)}`,
    ).slice(0, 250),
    facts: [
      { label: 'Where', text: `${org}/${project}${run ? `, run ${run}` : ''}` },
      ...(fix ? fixFacts(fix, sinceAt) : []),
      ...(isOpen && !isWhole(fix)
        ? [{ label: 'Not all is shown', text: 'It is approved where all of it is, and may be denied here.' }]
        : []),
      ...(ending
        ? [...(fix?.message ? [{ label: 'How it ended', text: shownInLine(fix.message) }] : []), { label: 'What now', text: ending.now }]
        : []),
      { label: 'Why', text: shownInLine(reason) },
      ...(isWithdrawn && fix.message ? [{ label: 'Why no more', text: shownInLine(fix.message) }] : []),
      { label: 'Asked by', text: person },
      ...(isOpen ? [{ label: 'Who may answer', text: who(approval) }] : []),
      ...(decisions.length > 0 ? [{ label: 'Answered', text: answered(approval) }] : []),
      ...(isOpen ? [{ label: 'Expires', text: `${expiresAt}; no answer counts as no, and changes nothing` }] : []),
      ...(isOpen && contact ? [{ label: 'When nobody answers', text: shownInLine(contact) }] : []),
      ...(isUnanswered ? [{ label: 'What now', text: 'Nobody answered in time, so nothing was changed.' }] : []),
      ...(isForContact && contact ? [{ label: 'Contact', text: shownInLine(contact) }] : []),
      { label: 'Digest', text: digest },
    ],
    next: isOpen
      ? `quarterdeck approvals show ${id}${at} shows all of it, and how to say yes or no`
      : (ending?.next ?? `quarterdeck approvals show ${id}${at}`),
    link: approvalLink(publicUrl, approval),
    approval: { org, project, id, digest, state, isWhole: isWhole(fix) },
  };
};

/** @param text - what happened and what to do, a line each; the first is the title */
export const pageMessage = ({
  org,
  project,
  subject,
  text,
}: {
  org: string;
  project: string;
  subject: string;
  text: string;
}): ChannelMessage => {
  const [title = '', ...rest] = shown(text).split('\n');
  const target = /^([a-z0-9][a-z0-9-]*): /.exec(text)?.[1];
  return {
    event: 'page',
    title: title.slice(0, 250),
    facts: [
      { label: 'Where', text: `${org}/${project}, ${subject}` },
      ...(rest.length > 0 ? [{ label: 'What', text: rest.join('\n') }] : []),
    ],
    next: `quarterdeck reconcile ${target === undefined ? 'status' : `explain ${target}`}${placeOptions({ org, project })}`,
    link: null,
    approval: null,
  };
};

/** The message as plain text, for mail and as what notifications of Slack show. Only lines of ours begin at the margin. */
export const plainText = ({ title, facts, next, link }: ChannelMessage): string =>
  [title, '', ...facts.map(({ label, text }) => `${label}: ${text.replaceAll('\n', '\n    ')}`), '', ...(link ? [link] : []), next].join(
    '\n',
  );
