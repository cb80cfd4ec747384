import type { DevPeople, DevPerson } from '../../control/dev-idp/dev-idp-config.ts';
import { defaultTenancy } from '../../schema/ids.ts';
import type { Database } from '../../store/database.ts';
import { findPerson, findPersonByToken } from '../../store/people.ts';

/** The people that `up` seeds, to the login provider of this machine: a person's password is their token of the installation. */
export const createDevPeople = (database: Database, clock: () => Date): DevPeople => {
  const find = async (id: string): Promise<DevPerson | undefined> => {
    const person = await findPerson(database, defaultTenancy.org, id);
    return person && !person.disabled ? { id, groups: person.groups, roles: person.roles } : undefined;
  };
  return {
    find,
    check: async (id, password) => {
      const owner = await findPersonByToken(database, password, clock());
      return owner?.org === defaultTenancy.org && owner.id === id ? find(id) : undefined;
    },
  };
};
