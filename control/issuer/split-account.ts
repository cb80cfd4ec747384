/** `org/person`, as a subject names them. */
export const splitAccount = (account: string): { org: string; id: string } | undefined => {
  const [org, id, ...rest] = account.split('/');
  return org && id && rest.length === 0 ? { org, id } : undefined;
};
