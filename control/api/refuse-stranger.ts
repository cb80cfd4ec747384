import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { ApiDependencies } from './api-dependencies.ts';
import { newDecisionId } from './new-decision-id.ts';

/**
 * Refuses an answer by a button of Slack of whom its channel takes for nobody who is here, and puts it down: Slack has signed who it was. The
 * row's person is that user of Slack, by a pseudonym as everybody's, `slack:` before it, so that it is nobody of ours.
 * @param user - id of the user at Slack
 * @throws {PlatformError} `not_permitted`, always
 */
export const refuseStranger = async (
  { database, audit }: Pick<ApiDependencies, 'database' | 'audit'>,
  { org, project }: Tenancy,
  { user, channel, approvalId }: { user: string; channel: string; approvalId: string },
): Promise<never> => {
  const person = { org, id: `slack:${user}` };
  if (audit.people.known(person) === undefined) await audit.people.pseudonymOf(person);
  await audit.append(database, [
    {
      ...{ org, project, person: person.id, stamp: 'slack', decisionId: newDecisionId() },
      ...({ kind: 'refusal', action: 'approve', decision: 'deny', outcome: 'refused', errorCode: 'not_permitted' } as const),
      resource: `Approval/${approvalId}`,
      facts: { channel },
    },
  ]);
  throw new PlatformError(
    'not_permitted',
    `Slack's user ${user} is nobody here: an administrator adds them to \`people\` of Channel ${channel}.`,
  );
};
