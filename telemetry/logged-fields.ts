/** Fields of a record whose texts may be written: ids, names, codes, and errors, which the redactor sees too. */
const allowed: ReadonlySet<string> = new Set(
  `name level time pid msg part event err error code causeCode cause detail reason at exit signal
  server tool prompt method provider model route run runId agent agentId workflowId workflowType activity activityType activityId taskQueue
  namespace org project fleet role toolset kind resource action operationId decisionId approval requestId tokenId traceId writer epoch
  digest instance isolation era task account audience issuer issues state host url clientId person policy key_id keyId worker tier`.split(
    /\s+/,
  ),
);

/**
 * Keeps texts to the fields above, in whatever else is logged. Numbers and booleans say nothing secret and pass; of a text or a list under
 * another name the record says only that it was left out, so that whoever adds a field decides here that it may be read.
 */
export const allowedFields = (record: Record<string, unknown>): Record<string, unknown> => {
  const withheld = Object.keys(record).filter((field) => {
    const value = record[field];
    return !allowed.has(field) && value !== null && ['string', 'object'].includes(typeof value);
  });
  if (withheld.length === 0) return record;
  const kept = Object.fromEntries(Object.entries(record).filter(([field]) => !withheld.includes(field)));
  return { ...kept, withheld };
};
