/**
 * A fault with the name of its object, for people who have to find it: `unhealthy Deployment/mcp/github-mcp ImagePullBackOff`.
 * @param fingerprint - `KIND-OF-FAULT @ GROUP/KIND/NAMESPACE/NAME`, as a drift holds it
 */
export const faultAt = (fingerprint: string): string => {
  const [faultKind = '', key] = fingerprint.split(' @ ');
  if (key === undefined) return faultKind;
  const name = key.replace(/^[^/]*\//, '');
  const [kind = '', what = '', ...signs] = faultKind.split(' ');
  return what === name.split('/')[0] ? [kind, name, ...signs].join(' ') : `${faultKind}, ${name}`;
};
