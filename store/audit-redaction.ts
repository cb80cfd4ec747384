import type { NewAuditEvent } from '../schema/audit-event.ts';
import { redactor } from '../telemetry/redactor.ts';

/** The same value where nothing in it is secret. Numbers, names of facts and what is empty are passed over. */
const clean = <T>(value: T): T => {
  if (typeof value === 'string') return redactor.text(value) as T;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    let copy: unknown[] | undefined;
    for (let index = 0; index < value.length; index += 1) {
      const inner = clean(value[index]);
      if (inner !== value[index]) copy = (copy ?? [...value]).with(index, inner);
    }
    return (copy ?? value) as T;
  }
  let copy: Record<string, unknown> | undefined;
  for (const key in value) {
    const inner = clean(value[key]);
    if (inner !== value[key]) copy = { ...(copy ?? value), [key]: inner };
  }
  return (copy ?? value) as T;
};

/**
 * A row without the secrets that its caller may have put into what goes on record of a call: the name that was called, what a URI or a path
 * was made of. Ids and digests are ours. It is done before the row is hashed, so that the chain is over what is stored.
 */
export const withoutSecrets = (event: NewAuditEvent): NewAuditEvent => {
  const { tool, resource, facts } = event;
  const safeTool = tool ? redactor.text(tool) : tool;
  const safeResource = resource ? redactor.text(resource) : resource;
  const safeFacts = clean(facts);
  if (safeTool === tool && safeResource === resource && safeFacts === facts) return event;
  return {
    ...event,
    ...(tool ? { tool: safeTool } : {}),
    ...(resource ? { resource: safeResource } : {}),
    ...(facts ? { facts: safeFacts } : {}),
  } as NewAuditEvent;
};
