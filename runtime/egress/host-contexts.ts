import { createSecureContext, type SecureContext } from 'node:tls';
import { type Certified, makeHostCertificate } from './make-certificate.ts';

/** Half of what a certificate is valid for. */
const renewAfterMs = 3 * 24 * 3_600_000;

/** Certificates of this installation's authority for hosts with a secret, made when first asked for. */
export const createHostContexts = (authority: Certified, now: () => number): ((host: string) => SecureContext) => {
  const known = new Map<string, { context: SecureContext; madeAt: number }>();
  return (host) => {
    const found = known.get(host);
    if (found && now() - found.madeAt < renewAfterMs) return found.context;
    const { certificate, key } = makeHostCertificate(authority, host, new Date(now()));
    const context = createSecureContext({ cert: certificate, key, minVersion: 'TLSv1.2' });
    known.set(host, { context, madeAt: now() });
    return context;
  };
};
