import { faultSince } from '../../reconcile/fault-since.ts';
import { isPlatformError } from '../../schema/errors.ts';
import type { ChannelSpec } from '../../schema/resources/channel.ts';
import type { SecretReference } from '../../schema/resources/metadata.ts';
import { getApproval } from '../../store/approvals.ts';
import { type Delivery, findFirstMessage, isAnnounced, markDelivered, markUndelivered } from '../../store/channel-deliveries.ts';
import type { Database } from '../../store/database.ts';
import { findReconcileContact } from '../../store/reconcile-contact.ts';
import { findFix, findFixOfApproval, listFixes } from '../../store/reconcile-fixes.ts';
import { findResource } from '../../store/resources.ts';
import { resolveSecret, type SecretSources } from '../../store/secrets/references.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { redactor } from '../../telemetry/redactor.ts';
import type { ChannelNetwork } from './channel-fetch.ts';
import { approvalMessage, type ChannelMessage, pageMessage } from './channel-message.ts';
import { sendEmail } from './send-email.ts';
import { sendSlack } from './send-slack.ts';
import { sendWebhook } from './send-webhook.ts';

/** About a day in all; then it is given up, and stands in `describe channel` and in the log. */
const mostAttempts = 20;
/** Seconds until the next try: doubling from two seconds to two hours. */
const againInSeconds = (attempts: number): number => Math.min(7_200, 2 ** attempts);

export type DeliveryDependencies = {
  database: Database;
  secrets: SecretSources;
  network: ChannelNetwork;
  /** Origin of the api and console. */
  publicUrl: string;
  clock: () => Date;
  logger: Logger;
};

const isOfApproval = ({ event }: Pick<Delivery, 'event'>): boolean => event === 'decided' || event === 'ended';

/**
 * Whether a channel tells the same by another message: one thing that happened is one message. Who was asked is told that nobody answered, or
 * that the undo failed, by what becomes of that question, with whom to call; who was not is paged. In Slack the question is changed, which
 * wakes nobody, so the page stands beside it.
 */
const isToldOtherwise = async (database: Database, delivery: Delivery, { type, events }: ChannelSpec): Promise<boolean> => {
  if (delivery.event !== 'page' || type === 'slack' || !events.includes('decided')) return false;
  const [, fixId, became] = /^(fix_\w+)\/(expired|frozen)$/.exec(delivery.subject) ?? [];
  const fix = fixId === undefined ? undefined : await findFix(database, fixId);
  if (!fix?.approvalId) return false;
  // that an approval ran out is told wherever it was told of; that it ended as frozen where people had approved it
  return isAnnounced(database, { ...delivery, subject: fix.approvalId, event: became === 'expired' ? 'approval' : 'ended' });
};

/** What is told: read anew for each try, so that a late one tells what is true now. Undefined where there is nothing to tell any more. */
const compose = async ({ database, publicUrl }: DeliveryDependencies, delivery: Delivery): Promise<ChannelMessage | undefined> => {
  const { event, subject, org, project, text } = delivery;
  if (event === 'page') return pageMessage({ org, project, subject, text });
  const approval = await getApproval(database, { org, project, id: subject });
  // decided before anybody was asked: what is told is what was decided, and by `decided` alone
  if (event === 'approval' && approval.state !== 'pending') return undefined;
  const fix = approval.kind === 'fix' ? await findFixOfApproval(database, approval, subject) : undefined;
  const sinceAt = fix ? faultSince(fix, await listFixes(database, fix, fix.target)) : undefined;
  return approvalMessage(approval, { event, publicUrl, fix, sinceAt, contact: await findReconcileContact(database, subject) });
};

const send = async (
  dependencies: DeliveryDependencies,
  delivery: Delivery,
  spec: ChannelSpec,
  message: ChannelMessage,
): Promise<Record<string, string> | null> => {
  const { database, secrets, network, clock } = dependencies;
  const { id, org, project, channel: name } = delivery;
  const secret = (reference: SecretReference, field: string) =>
    resolveSecret(reference, secrets, { org, project, kind: 'Channel', name, field: `spec.${field}` });
  switch (spec.type) {
    case 'webhook':
      return sendWebhook(spec, message, { id, secret: await secret(spec.secret, 'secret'), network, now: clock() });
    case 'slack': {
      // one message of an approval, from its question to what came of it
      const first = isOfApproval(delivery) ? await findFirstMessage(database, delivery) : undefined;
      return sendSlack(spec, message, { token: await secret(spec.token, 'token'), network, first: first?.message ?? undefined });
    }
    case 'email': {
      const { password } = spec.smtp;
      return sendEmail(spec, message, { id, password: password && (await secret(password, 'smtp.password')), network });
    }
  }
};

/** Tells one thing by one channel, once more where that failed. It does not throw, except when the database is away. */
export const deliver = async (dependencies: DeliveryDependencies, delivery: Delivery): Promise<void> => {
  const { database, logger } = dependencies;
  const { id, org, project, channel, event, subject, attempts } = delivery;
  const declared = await findResource(database, { kind: 'Channel', org, project, name: channel });
  if (!declared) return markUndelivered(database, id, 'the channel is declared no more', null);
  if (!declared.spec.events.includes(event === 'ended' ? 'decided' : event)) return markDelivered(database, id, null);
  if (await isToldOtherwise(database, delivery, declared.spec)) return markDelivered(database, id, null);
  try {
    const message = await compose(dependencies, delivery);
    return markDelivered(database, id, message === undefined ? null : await send(dependencies, delivery, declared.spec, message));
  } catch (error) {
    // what a channel answers may be anybody's text, and what we sent it stands in errors of libraries
    const why = redactor.text(isPlatformError(error) ? error.detail : (error as Error).message).slice(0, 500);
    const isLast = attempts >= mostAttempts;
    await markUndelivered(database, id, why, isLast ? null : againInSeconds(attempts));
    logger.warn(
      { channel: `${org}/${project}/${channel}`, event, subject, attempts, why },
      isLast ? 'a channel was given up' : 'a channel could not be reached',
    );
  }
};
