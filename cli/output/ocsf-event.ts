import type { AuditEvent } from '../../schema/audit-event.ts';

/** @see https://schema.ocsf.io/1.6.0/classes/api_activity */
const version = '1.6.0';
const categoryUid = 6; // Application Activity
const classUid = 6003; // API Activity

const activities = { create: 1, read: 2, update: 3, delete: 4, other: 99 } as const;

/** What an action does as OCSF counts it; a tool or a model may do anything. */
const activityOf = (action: string): number => {
  if (/^(launch|resume)/.test(action)) return activities.create;
  if (/^(list|get|read|complete)/.test(action)) return activities.read;
  if (/^(apply|approve|manage)/.test(action)) return activities.update;
  if (/^(delete|erase|cancel)/.test(action)) return activities.delete;
  return activities.other;
};

/** Success, failure, or not known: an intent has no end yet. */
const statusOf = ({ outcome }: AuditEvent): number => {
  if (outcome === 'ok') return 1;
  return outcome === 'pending' || outcome === 'unknown' ? 0 : 2;
};

/** Members without those that say nothing. */
const said = (members: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null && value !== undefined));

const targetOf = ({ server, tool, model, resource }: AuditEvent): Record<string, unknown>[] => {
  if (tool !== null) return [said({ type: 'tool', name: tool, uid: server === null ? tool : `${server}/${tool}` })];
  if (model !== null) return [{ type: 'model', name: model, uid: model }];
  return resource === null ? [] : [{ type: 'resource', name: resource, uid: resource }];
};

/** A row of the audit as OCSF's API Activity (1.6.0, class 6003, profile security_control). What OCSF has no name for is in `unmapped`. */
export const ocsfEvent = (event: AuditEvent): Record<string, unknown> => {
  const { action, at, decision, facts, policies, policyVersion, person, agent, role, run, sequence } = event;
  const activity = activityOf(action);
  const isAllowed = decision === 'allow';
  const source = typeof facts.source === 'string' ? facts.source : undefined;
  return said({
    activity_id: activity,
    activity_name: activity === activities.other ? action : undefined,
    category_uid: categoryUid,
    class_uid: classUid,
    type_uid: classUid * 100 + activity,
    severity_id: isAllowed ? 1 : 2,
    time: Date.parse(at),
    duration: event.durationMs === null ? undefined : Math.round(event.durationMs),
    status_id: statusOf(event),
    status_code: event.errorCode,
    status_detail: event.outcome,
    action_id: isAllowed ? 1 : 2,
    disposition_id: isAllowed ? 1 : 2,
    metadata: said({
      version,
      product: { name: 'Quarterdeck', vendor_name: 'Quarterdeck' },
      profiles: ['security_control'],
      log_name: 'audit',
      event_code: action,
      uid: String(sequence),
      sequence,
      tenant_uid: event.org,
      correlation_uid: event.traceId,
    }),
    actor: said({
      user: person === null ? undefined : { uid: person, name: person, type_id: 1 },
      app_uid: agent,
      app_name: role ?? (person === null ? 'unknown' : undefined),
      session: run === null ? undefined : { uid: run },
      authorizations:
        policies.length === 0 ? undefined : policies.map((uid) => ({ decision, policy: said({ uid, name: uid, version: policyVersion }) })),
    }),
    api: said({
      operation: action,
      group: event.toolset === null ? undefined : { name: event.toolset },
      service: { name: event.server ?? 'quarterdeck' },
      request: { uid: event.decisionId },
    }),
    src_endpoint: said({ uid: agent ?? person ?? source ?? 'unknown', ip: source === 'others' ? undefined : source }),
    resources: targetOf(event),
    unmapped: said({
      kind: event.kind,
      project: event.project,
      fleet: event.fleet,
      operation_id: event.operationId,
      arguments_digest: event.argumentsDigest,
      policy_version: policyVersion,
      stamp: event.stamp,
      input_tokens: event.inputTokens,
      output_tokens: event.outputTokens,
      cost_micro_usd: event.costMicroUsd,
      facts,
      chain: event.writer === null ? undefined : { writer: event.writer, epoch: event.epoch, link: event.link, position: event.position },
    }),
  });
};
