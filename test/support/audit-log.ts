import { createAuditLog } from '../../store/audit-log.ts';
import type { Database } from '../../store/database.ts';

/** The key of a test's installation. */
export const auditKey = Buffer.alloc(32, 9).toString('base64');

/** The audit as a process of a test writes it. */
export const openAuditLog = (database: Database, process = 'test') => createAuditLog({ database, process, key: auditKey });
