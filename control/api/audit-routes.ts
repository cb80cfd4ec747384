import { Hono } from 'hono';
import { z } from 'zod';
import { AuditQuerySchema } from '../../schema/audit-event.ts';
import type { AuditVerification } from '../../schema/audit-verification.ts';
import { PlatformError } from '../../schema/errors.ts';
import { queryAudit } from '../../store/audit.ts';
import { exportAudit } from '../../store/audit-export.ts';
import type { ApiDependencies, ApiEnvironment } from './api-dependencies.ts';
import { inTransaction } from './in-transaction.ts';
import type { Permit } from './permit.ts';
import { readBody, readQuery, tenancyOf } from './read-request.ts';
import { recordChange } from './record-change.ts';
import { removalNotes } from './removal-notes.ts';

const ErasureSchema = z.strictObject({ person: z.string().min(1).max(512) });

/** The audit: shown, checked as a whole, and a person taken out of it. Policy decides who may. */
export const auditRoutes = ({
  database,
  audit,
  verifyAudit,
  auditPublicKey,
  clock,
  permit,
}: Pick<ApiDependencies, 'database' | 'audit' | 'verifyAudit' | 'auditPublicKey' | 'clock'> & { permit: Permit }): Hono<ApiEnvironment> => {
  const routes = new Hono<ApiEnvironment>();
  let verifying: Promise<AuditVerification> | undefined;
  /** A check reads everything, so those who ask while one is under way get the answer of that one. */
  const verifyOnce = (): Promise<AuditVerification> => {
    verifying ??= verifyAudit().finally(() => {
      verifying = undefined;
    });
    return verifying;
  };

  routes.get('/:org/:project/audit', async (context) => {
    const tenancy = tenancyOf(context);
    const query = readQuery(context, AuditQuerySchema);
    await permit(context.get('person'), 'readAudit', tenancy);
    const events = await queryAudit(database, tenancy, query, audit.people);
    // the newest rows that were asked for hide none; fewer may do
    const notes =
      query.after === undefined && events.length < query.limit ? await removalNotes(database, tenancy, ['audit'], query.since) : [];
    return context.json({ events, ...(notes.length > 0 ? { notes } : {}) });
  });

  // chains hold rows of all orgs; what is said of them are places in the chain, and no content
  routes.get('/:org/:project/audit/verification', async (context) => {
    const tenancy = tenancyOf(context);
    await permit(context.get('person'), 'readAudit', tenancy);
    return context.json(await verifyOnce());
  });

  routes.get('/:org/:project/audit/chain', async (context) => {
    const tenancy = tenancyOf(context);
    await permit(context.get('person'), 'readAudit', tenancy);
    const lines = exportAudit(database, tenancy, auditPublicKey, clock());
    // what breaks in the middle cuts the answer off, and its end is not there
    return context.body(ReadableStream.from(lines).pipeThrough(new TextEncoderStream()), 200, { 'content-type': 'application/jsonl' });
  });

  routes.post('/:org/:project/audit/erasures', async (context) => {
    const tenancy = tenancyOf(context);
    const { person: id } = await readBody(context, ErasureSchema);
    const person = context.get('person');
    const decision = await permit(person, 'erasePerson', tenancy);
    const pseudonym = await inTransaction(database, async (within) => {
      const found = await audit.people.find({ org: tenancy.org, id });
      if (found === undefined)
        throw new PlatformError('not_found', `Nobody called ${id} is in the audit of ${tenancy.org}; look at \`quarterdeck audit query\`.`);
      // by the pseudonym, for the row must not name who is forgotten; and before that, for people may erase themselves
      await recordChange(audit, within, tenancy, person, decision, { action: 'erasePerson', facts: { pseudonym: found } });
      await audit.people.erase(within, { org: tenancy.org, id });
      return found;
    });
    return context.json({ pseudonym });
  });
  return routes;
};
