import pg from 'pg';

/** Tables whose rows are only ever added: the role may read and add, and nothing else. */
const appendOnly = ['audit_events', 'audit_links', 'audit_checkpoints'];
/** What is left of rows of the audit; the function below alone adds to it. */
const removedRows = 'audit_removed';
/** Takes out old rows of the audit, a few at a time, and leaves their digests: the one way in which any of them goes. */
const removeRows = 'remove_audit_rows(text, text, timestamptz, integer, text)';

/** SQLSTATE of whoever may not make roles, or not set their passwords. */
const notAllowed = '42501';

/** Roles belong to the whole server, and there may be another installation on it. */
const roleOf = (database: string): string => `quarterdeck_service_${database}`.slice(0, 63);

const statements = (role: string, database: string): string[] => [
  `grant connect on database ${database} to ${role}`,
  `grant usage on schema public to ${role}`,
  `grant select, insert, update, delete on all tables in schema public to ${role}`,
  `grant usage, select on all sequences in schema public to ${role}`,
  `revoke update, delete, truncate, references, trigger on ${appendOnly.join(', ')} from ${role}`,
  `revoke insert, update, delete, truncate, references, trigger on ${removedRows} from ${role}`,
  `grant execute on function ${removeRows} to ${role}`,
];

/**
 * Makes the role that our processes use, beside the owner of the tables who migrates them: it can neither change nor take away a row of
 * the audit, nor a trigger that keeps others from it. Call it after the tables were brought to this release.
 * @param ownerUrl - of the database, as its owner
 * @param password - of the role; it is set anew each time
 * @returns the URL for the processes; undefined where the owner may not make roles, and triggers alone guard the audit
 */
export const ensureServiceRole = async (ownerUrl: string, password: string): Promise<string | undefined> => {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'quarterdeck-migrate' });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>('select current_database() as name');
    const name = rows[0]?.name ?? '';
    const role = client.escapeIdentifier(roleOf(name));
    await client.query('begin');
    // two that start at once make it once
    await client.query('select pg_advisory_xact_lock(7420)');
    const { rowCount } = await client.query('select 1 from pg_roles where rolname = $1', [roleOf(name)]);
    await client.query(`${rowCount ? 'alter' : 'create'} role ${role} login password ${client.escapeLiteral(password)}`);
    for (const statement of statements(role, client.escapeIdentifier(name))) await client.query(statement);
    await client.query('commit');
    const url = new URL(ownerUrl);
    url.username = roleOf(name);
    url.password = password;
    return url.href;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    if ((error as { code?: string }).code === notAllowed) return undefined;
    throw error;
  } finally {
    await client.end();
  }
};
