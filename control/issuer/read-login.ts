import { NameSchema } from '../../schema/ids.ts';
import { isMachine, machinePrefix } from '../../schema/machine-person.ts';
import type { IdentityProviderSpec } from '../../schema/resources/identity-provider.ts';
import type { Login } from '../../store/record-login.ts';

const mostGroups = 500;

type Claims = Readonly<Record<string, unknown>>;

const textOf = (claims: Claims, name: string | undefined): string | undefined => {
  const value = name === undefined || !Object.hasOwn(claims, name) ? undefined : claims[name];
  return typeof value === 'string' && value !== '' && value.length <= 512 ? value : undefined;
};

/**
 * Names that a binding can mention. Others are left out, not bent into shape: two groups that become one name would be one group.
 */
const namesOf = (claims: Claims, name: string | undefined): string[] => {
  const value = name === undefined || !Object.hasOwn(claims, name) ? [] : claims[name];
  const names = [value].flat().filter((each): each is string => NameSchema.safeParse(each).success);
  return [...new Set(names)].slice(0, mostGroups).sort();
};

export type ReadLogin = { ok: true; login: Login } | { ok: false; reason: string };

/**
 * Reads who has logged in from what the issuer says, by the mapping of its `IdentityProvider`.
 * @param claims - of the verified ID token, and below them those of userinfo
 */
export const readLogin = (org: string, spec: IdentityProviderSpec, claims: Claims): ReadLogin => {
  const { claims: names, issuer } = spec;
  const subject = textOf(claims, names.subject);
  if (subject === undefined) return { ok: false, reason: `the claim \`${names.subject}\`, which names the person, is missing` };
  const username = textOf(claims, names.username);
  if (names.username !== undefined && !NameSchema.safeParse(username).success)
    return { ok: false, reason: `the claim \`${names.username}\` is no name of lower-case letters, digits and hyphens` };
  // or a person could be what a binding grants to a machine that has not come yet
  if (username !== undefined && isMachine(username))
    return { ok: false, reason: `names that begin with \`${machinePrefix}\` are those of clients` };
  return {
    ok: true,
    login: {
      org,
      issuer,
      subject,
      username,
      email: textOf(claims, names.email),
      name: textOf(claims, names.name),
      groups: namesOf(claims, names.groups),
      roles: names.roles === undefined ? undefined : namesOf(claims, names.roles),
    },
  };
};
