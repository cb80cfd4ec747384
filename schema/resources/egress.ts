import { z } from 'zod';
import { addressKind, parseAddress } from '../network-address.ts';
import { SecretReferenceSchema } from './metadata.ts';

const hostName = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** A last label of digits is an address in disguise (`2130706433`, `0x7f.1`), or half of one. */
const looksLikeAddress = /(^|\.)(\d+|0x[0-9a-f]*)$/;

const hostSchema = z
  .string()
  .refine(
    (host) => parseAddress(host) !== undefined || (hostName.test(host) && !looksLikeAddress.test(host)),
    'a host name in lower case, such as `api.example.com`, or a plain address; no scheme, port or wildcard',
  );

/** One place that a caged server may reach. Names are compared to the letter, so each host stands for itself alone. */
export const EgressRuleSchema = z
  .strictObject({
    host: hostSchema,
    port: z.number().int().min(1).max(65_535).default(443),
    /** Lets the host be one of an inner network or this machine. Metadata services and link-local addresses are never reached. */
    private: z.boolean().default(false),
    /** How much one connection may carry each way. */
    maximumMb: z.number().int().min(1).max(100_000).default(100),
  })
  .superRefine(({ host, private: isPrivate }, context) => {
    if (parseAddress(host) === undefined) return;
    const kind = addressKind(host);
    const refuse = (message: string): void => context.addIssue({ code: 'custom', path: ['host'], message });
    if (kind === 'forbidden') refuse('an address that servers may reach; link-local, metadata and special ones are never');
    else if (kind !== 'public' && !isPrivate) refuse('a public address, or `private: true` beside it');
  });
export type EgressRule = z.infer<typeof EgressRuleSchema>;

/**
 * A secret that a server wants in its environment. It gets a placeholder there; the value is put in its place on the way out, towards the
 * named hosts alone, in one header of requests over TLS.
 */
export const BoundSecretSchema = z.strictObject({
  from: SecretReferenceSchema,
  hosts: z.array(hostSchema).min(1).max(20),
  header: z
    .string()
    .regex(/^[a-z0-9-]+$/, 'the name of a header in lower case')
    .refine(
      (header) => !['host', 'connection', 'content-length', 'transfer-encoding'].includes(header),
      'a header that carries a credential',
    )
    .default('authorization'),
});
export type BoundSecret = z.infer<typeof BoundSecretSchema>;

type Reaching = { env: Record<string, string>; egress?: EgressRule[] | undefined; secrets?: Record<string, BoundSecret> | undefined };

/** A secret goes to hosts of the allow-list alone, and a variable has one value. */
export const checkEgress = ({ env, egress = [], secrets = {} }: Reaching, context: z.RefinementCtx): void => {
  const refuse = (path: (string | number)[], message: string): void => context.addIssue({ code: 'custom', path, message });
  const hosts = new Set(egress.map(({ host }) => host));
  for (const [index, { host, port }] of egress.entries())
    if (egress.findIndex((rule) => rule.host === host && rule.port === port) !== index)
      refuse(['egress', index], `each host and port once; ${host}:${port} stands there twice`);
  for (const [variable, secret] of Object.entries(secrets)) {
    if (variable in env) refuse(['secrets', variable], `one value; ${variable} stands in \`env\` too`);
    for (const [index, host] of secret.hosts.entries())
      if (!hosts.has(host)) refuse(['secrets', variable, 'hosts', index], `a host of \`egress\`; ${host} is not there`);
  }
};
