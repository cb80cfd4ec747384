import pg from 'pg';

/**
 * Gives a database a clock that can jump: `now()` in it is the machine's time and so many seconds more, for every connection that is opened
 * from then on, in statements and in the defaults of columns. Postgres itself has no such switch; a function of that name before its own is one.
 * @returns `jump`, which sets by how much it is ahead
 */
export const shiftDatabaseClock = async (url: string): Promise<{ jump(seconds: number): Promise<void> }> => {
  const within = async (work: (client: pg.Client) => Promise<void>): Promise<void> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await work(client);
    } finally {
      await client.end();
    }
  };
  await within(async (client) => {
    await client.query(`
      create schema shifted;
      create table shifted.clock (ahead double precision not null);
      insert into shifted.clock values (0);
      create function shifted.now() returns timestamptz language sql stable
        as 'select pg_catalog.now() + make_interval(secs => ahead) from shifted.clock';
      do $$
      declare at record;
      begin
        for at in select table_name, column_name from information_schema.columns
          where table_schema = 'public' and column_default = 'now()'
        loop
          execute format('alter table public.%I alter column %I set default shifted.now()', at.table_name, at.column_name);
        end loop;
        execute format('alter database %I set search_path to shifted, public, pg_catalog', current_database());
      end $$`);
  });
  return {
    jump: (seconds) => within(async (client) => void (await client.query('update shifted.clock set ahead = $1', [seconds]))),
  };
};
