import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { Verdict } from '../../schema/approval.ts';
import { isPlatformError, PlatformError } from '../../schema/errors.ts';
import { NameSchema, type Tenancy } from '../../schema/ids.ts';
import type { StoredResource } from '../../schema/resource.ts';
import { SlackButtonSchema, slackActions } from '../../schema/slack-button.ts';
import { getApproval } from '../../store/approvals.ts';
import { isPersonHalted } from '../../store/halts.ts';
import { findLatestLogin } from '../../store/latest-login.ts';
import { findPerson, type Person } from '../../store/people.ts';
import { findResource } from '../../store/resources.ts';
import { resolveSecret } from '../../store/secrets/references.ts';
import { answerApproval } from './answer-approval.ts';
import type { ApiConfig, ApiDependencies, ApiEnvironment, ChannelAnswers } from './api-dependencies.ts';
import { createContextSource } from './authenticate.ts';
import { describeCause } from './describe-cause.ts';
import type { Permit } from './permit.ts';
import { parseAs } from './read-request.ts';
import { refuseHalted } from './refuse-halted.ts';
import { refuseStranger } from './refuse-stranger.ts';
import { type SlackAnswer, SlackAnswerSchema } from './slack-answer.ts';
import { isFromSlack } from './verify-slack-signature.ts';

const mostBytes = 256 * 1024;
/** Slack shows its user an error after three seconds without an answer. */
const acknowledgeWithinMs = 2_000;

const verdicts: Readonly<Record<string, Verdict>> = { [slackActions.approve]: 'approve', [slackActions.deny]: 'deny' };

type SlackChannel = StoredResource<'Channel'> & { spec: { type: 'slack' } };

/**
 * Answers of people by the buttons of a Slack channel. Slack says who pressed one, signed; the channel's own list says which person that is
 * here. From there on it is an answer like any other: Cedar decides, and approving takes a login of the last minutes, which the person has to
 * have made here, because a session of Slack proves no such thing.
 */
export const slackRoutes = (
  config: ApiConfig,
  dependencies: ApiDependencies & { permit: Permit },
  { secrets, fetch }: ChannelAnswers,
): Hono<ApiEnvironment> => {
  const { database, audit, unknownCallers, clock, logger } = dependencies;
  const sourceOf = createContextSource(config);
  const routes = new Hono<ApiEnvironment>();

  /** One refusal for all that is wrong: no channel, no signature, an old or a foreign one. */
  const refuse = (context: Context): PlatformError => {
    unknownCallers.count({ source: sourceOf(context), door: 'slack', code: 'not_authenticated' });
    return new PlatformError('not_authenticated', 'This is not signed as a request of Slack for this channel.');
  };

  const tooLarge = (context: Context): never => {
    throw refuse(context);
  };

  const findChannel = async (tenancy: Tenancy, name: string): Promise<SlackChannel | undefined> => {
    const found = await findResource(database, { kind: 'Channel', ...tenancy, name });
    return found?.spec.type === 'slack' ? (found as SlackChannel) : undefined;
  };

  /** @throws {PlatformError} `not_permitted` for whom this channel does not know, or who may do nothing here; on record */
  const personOf = async (tenancy: Tenancy, { metadata, spec }: SlackChannel, user: string, approvalId: string): Promise<Person> => {
    const { org } = tenancy;
    const id = Object.hasOwn(spec.people, user) ? spec.people[user] : undefined;
    const found = id === undefined ? undefined : await findPerson(database, org, id);
    if (!found || found.disabled) return refuseStranger(dependencies, tenancy, { user, channel: metadata.name, approvalId });
    if (await isPersonHalted(database, org, found.id)) await refuseHalted(database, { org, project: '', person: found.id });
    const person: Person = { ...found, stamp: 'slack' };
    if (audit.people.known(person) === undefined) await audit.people.pseudonymOf(person);
    // as at the api: the two people of the profile `dev` play stories of two people
    const login =
      config.profile === 'dev' ? { authTime: Math.floor(clock().getTime() / 1000) } : await findLatestLogin(database, org, found.id);
    return { ...person, ...login };
  };

  const answer = async (tenancy: Tenancy, channel: SlackChannel, { user, actions }: SlackAnswer): Promise<void> => {
    const pressed = actions.find(({ action_id }) => Object.hasOwn(verdicts, action_id));
    const verdict = pressed && verdicts[pressed.action_id];
    // buttons that only open something are told too
    if (!pressed || !verdict) return;
    const { digest, id, ...place } = parseAs(SlackButtonSchema, JSON.parse(pressed.value ?? '{}'), 'button');
    if (place.org !== tenancy.org || place.project !== tenancy.project)
      throw new PlatformError('not_permitted', 'This channel answers for its own project only.');
    const person = await personOf(tenancy, channel, user.id, id);
    await answerApproval(dependencies, config, person, await getApproval(database, { ...tenancy, id }), verdict, { digest });
  };

  /** A word for the person alone; where it does not reach them, the buttons still stand. */
  const tell = async (url: string | undefined, text: string): Promise<void> => {
    if (url === undefined) return;
    const body = JSON.stringify({ response_type: 'ephemeral', replace_original: false, text });
    await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
      .then((told) => told.body?.cancel())
      .catch((error) => logger.warn({ cause: describeCause(error) }, 'somebody at Slack could not be told'));
  };

  routes.post('/:org/:project/:channel', bodyLimit({ maxSize: mostBytes, onError: tooLarge }), async (context) => {
    const name = NameSchema.array().safeParse([context.req.param('org'), context.req.param('project'), context.req.param('channel')]);
    const [org = '', project = '', channelName = ''] = name.success ? name.data : [];
    const channel = name.success ? await findChannel({ org, project }, channelName) : undefined;
    if (!channel) throw refuse(context);
    const owner = { org, project, kind: 'Channel', name: channelName, field: 'spec.signingSecret' };
    const body = await context.req.text();
    const signed = {
      body,
      timestamp: context.req.header('x-slack-request-timestamp'),
      signature: context.req.header('x-slack-signature'),
    };
    if (!isFromSlack(signed, { secret: await resolveSecret(channel.spec.signingSecret, secrets, owner), now: clock() }))
      throw refuse(context);
    let payload: unknown;
    try {
      payload = JSON.parse(new URLSearchParams(body).get('payload') ?? '');
    } catch {
      throw new PlatformError('request_invalid', 'The body has no `payload` that is JSON.');
    }
    const given = parseAs(SlackAnswerSchema, payload, 'payload');
    const answered = answer({ org, project }, channel, given).catch((error: unknown) => {
      const text = isPlatformError(error) ? error.detail : 'This could not be done; look with `quarterdeck approvals ls`.';
      if (!isPlatformError(error)) logger.error({ cause: describeCause(error) }, 'an answer by Slack failed');
      return tell(given.response_url, text);
    });
    const late = new Promise((over) => setTimeout(over, acknowledgeWithinMs).unref());
    await Promise.race([answered, late]);
    return context.body(null, 200);
  });

  return routes;
};
