import { z } from 'zod';
import { type SecretReference, SecretReferenceSchema } from '../schema/resources/metadata.ts';
import { given } from './given.ts';

const forms = '`file:/PATH`, `env:NAME`, `vault:PATH#FIELD` or `kubernetes:[NAMESPACE/]SECRET#KEY`';

const shapeOf = (text: string): unknown => {
  const [, scheme, rest = ''] = /^([a-z]+):(.*)$/s.exec(text) ?? [];
  const [path = '', field = ''] = rest.split('#');
  if (scheme === 'file') return { file: rest };
  if (scheme === 'env') return { env: rest };
  if (scheme === 'vault') return { vault: { path, field } };
  if (scheme !== 'kubernetes') return undefined;
  const [secret, namespace] = path.split('/').reverse();
  return { kubernetes: { secret, key: field, ...(namespace === undefined ? {} : { namespace }) } };
};

/** Where a value of the installation itself is kept, as a variable says it: what a resource would say in YAML, in one word. */
export const parseReference = (text: string): SecretReference | undefined => SecretReferenceSchema.safeParse(shapeOf(text)).data;

const reference = z.string().transform((text, context) => {
  const parsed = parseReference(text);
  if (parsed) return parsed;
  context.addIssue(`${forms}, and not the value itself`);
  return z.NEVER;
});

const isDatabaseUrl = (text: string): boolean => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text);
/** What a database's URL looks like, wherever it stands. */
export const databaseUrlForm = 'a URL such as postgres://user:password@host:5432/name';
export const readDatabaseUrl = (text: string): string | undefined => (isDatabaseUrl(text) ? text : undefined);

/** Variables that hold or lead to what a platform cannot start without. None of these values is shown anywhere. */
export const InstallationVariables = {
  /** URL of a Postgres server's database (`postgres://user:password@host:5432/name`), or a reference to it. Default: an embedded Postgres in the data folder. */
  DATABASE_URL: given(
    z.string().transform((text, context): string | SecretReference => {
      const found = readDatabaseUrl(text) ?? parseReference(text);
      if (found !== undefined) return found;
      context.addIssue(`${databaseUrlForm}, or a reference to it: ${forms}`);
      return z.NEVER;
    }),
  ),
  /** Reference to what `content.key` of the data folder holds otherwise: 32 bytes in base64, or several versions. Default: that file. */
  QUARTERDECK_CONTENT_KEY: given(reference),
  /** The same for `gateway.key`. */
  QUARTERDECK_GATEWAY_KEY: given(reference),
  /** The same for `issuer.key`. */
  QUARTERDECK_ISSUER_KEY: given(reference),
};

/** References of the installation that are not resolved yet, by their variables. */
export type InstallationReferences = Partial<Record<keyof typeof InstallationVariables, SecretReference>>;

export const installationReferences = (
  values: Partial<Record<keyof typeof InstallationVariables, string | SecretReference | undefined>>,
): InstallationReferences =>
  Object.fromEntries(
    Object.keys(InstallationVariables).flatMap((name) => {
      const value = values[name as keyof typeof InstallationVariables];
      return value === undefined || typeof value === 'string' ? [] : [[name, value]];
    }),
  );
