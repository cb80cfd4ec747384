import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isAddressRange } from '../policy/source-of-request.ts';
import { PlatformError } from '../schema/errors.ts';
import type { RootName } from '../schema/seal-key.ts';
import type { SecretStoreSettings } from '../store/secrets/settings.ts';
import type { TracingOptions } from '../telemetry/tracing.ts';
import { given } from './given.ts';
import { type InstallationReferences, InstallationVariables, installationReferences } from './installation-references.ts';
import { filesOfStores, readSecretStores, SecretStoreVariables } from './secret-stores.ts';

/** @see https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables */
const readHeaders = (text: string, context: z.RefinementCtx): Record<string, string> => {
  const headers: Record<string, string> = {};
  for (const pair of text.split(',')) {
    const [, name, value] = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
    if (name === undefined || value === undefined) {
      context.addIssue('headers such as api-key=abc,tenant=blue');
      return z.NEVER;
    }
    headers[name] = decodeURIComponent(value.replaceAll(/%(?![0-9a-f]{2})/gi, '%25'));
  }
  return headers;
};

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;

/** Whatever the environment may say, by its variable; none of them is needed. */
const EnvironmentSchema = z.object({
  ...InstallationVariables,
  /** `host:port` of a Temporal frontend (gRPC). Default: the development server, with its file in the data folder. */
  TEMPORAL_ADDRESS: given(z.string().regex(/^[^\s/]+:\d+$/, 'a host and a port such as 127.0.0.1:7233')),
  /** Temporal namespace, which has to exist there. Default: `default`. */
  TEMPORAL_NAMESPACE: given(z.string()),
  /** Origin of the gateway that commands talk to. Default: the platform that runs on the data folder. */
  QUARTERDECK_URL: given(z.url({ protocol: /^https?$/, error: 'a URL such as http://127.0.0.1:7420' })),
  /** Token of the person who gives commands; secret. Default: the one of the platform that runs on the data folder. */
  QUARTERDECK_TOKEN: given(z.string()),
  /** The program `opa`, which compiles the Rego of policies; absolute path. Default: the one on the path, else the one that the set-up built. */
  QUARTERDECK_OPA: given(z.string().startsWith('/', 'the absolute path of a program')),
  /** File (YAML or JSON, absolute path) that says which service accounts and SPIFFE ids are workers. Default: the worker of this machine. */
  QUARTERDECK_WORKER_TRUST: given(z.string().startsWith('/', 'the absolute path of a file')),
  /** Where this machine's worker has its proof for that: `kubernetes:FILE` or `spiffe:FILE`, absolute. Default: it joins by a one-use token. */
  QUARTERDECK_WORKER_PROOF: given(z.string().regex(/^(kubernetes|spiffe):\/./, 'kubernetes:FILE or spiffe:FILE, with an absolute path')),
  /** Data folder. Default: `quarterdeck` in XDG_DATA_HOME. `--data` comes before it. */
  QUARTERDECK_DATA: given(z.string()),
  /** Where programs keep data of a user. Default: `~/.local/share`. */
  XDG_DATA_HOME: given(z.string()),
  /** Where programs keep settings of a user, logins among them. Default: `~/.config`. */
  XDG_CONFIG_HOME: given(z.string()),
  /** Any value: output has no colours. Default: colours on a terminal. */
  NO_COLOR: given(z.string()),
  /** Least severe log record that is kept. Default: `info`. */
  LOG_LEVEL: given(z.enum(logLevels, `one of ${logLevels.join(', ')}`)),
  /** Base URL of an OpenTelemetry collector that takes spans (OTLP over HTTP). Default: no spans are made. */
  OTEL_EXPORTER_OTLP_ENDPOINT: given(z.url({ protocol: /^https?$/, error: 'a URL such as http://127.0.0.1:4318' })),
  /** Headers for the collector, `name=value` with commas between them, percent-encoded; secret. Default: none. */
  OTEL_EXPORTER_OTLP_HEADERS: given(z.string().transform(readHeaders)),
  /** Simple index of Python packages (PEP 503) that the tiny model is fetched from. Default: the public one. */
  PIP_INDEX_URL: given(z.url({ error: 'a URL such as https://index.example/simple' })),
  /** Addresses or CIDR ranges of proxies in front of us, with commas: what they say of where requests come from is believed. Default: none. */
  QUARTERDECK_TRUSTED_PROXIES: given(
    z
      .string()
      .transform((text) => text.split(',').map((range) => range.trim()))
      .refine(
        (ranges) => ranges.every(isAddressRange),
        'addresses or CIDR ranges with commas between them, such as 10.0.0.0/8,2001:db8::7',
      ),
  ),
  ...SecretStoreVariables,
  /** PEM file with further certificate authorities; Node reads it at its start, and our processes get it too. Default: none. */
  NODE_EXTRA_CA_CERTS: given(z.string()),
});

const tracingOf = ({
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_HEADERS: headers,
}: z.infer<typeof EnvironmentSchema>): TracingOptions | undefined =>
  endpoint === undefined ? undefined : { endpoint, ...(headers ? { headers } : {}) };

/** What the environment decides, with defaults filled in. */
export type Config = {
  /** Undefined: an embedded one, or what a reference leads to, as long as it is not resolved (`resolveInstallation`). */
  databaseUrl: string | undefined;
  temporalAddress: string | undefined;
  temporalNamespace: string;
  url: string | undefined;
  token: string | undefined;
  dataDirectory: string;
  /** Folder of the logins of this user. */
  configDirectory: string;
  colours: boolean;
  logLevel: (typeof logLevels)[number];
  pipIndexUrl: string | undefined;
  /** Where spans go; undefined where nobody takes them. */
  tracing: TracingOptions | undefined;
  /** Vault and Kubernetes, where references to secrets may lead. */
  secretStores: SecretStoreSettings;
  /** Addresses or CIDR ranges of proxies that are believed about where requests come from. */
  trustedProxies: readonly string[];
  /** Program that compiles Rego; undefined: it is looked for. */
  opaProgram: string | undefined;
  /** File that says which workers are believed, beside one that joins by a token. */
  workerTrustFile: string | undefined;
  /** Where the worker of this machine finds its proof; absent, it joins. */
  workerProof: { kind: 'kubernetes' | 'spiffe'; file: string } | undefined;
  /** References of the installation itself; none once they are resolved. */
  references: InstallationReferences;
  /** Keys that wrap others, where references lead to them in place of their files. */
  rootKeys: Partial<Record<RootName, string | undefined>>;
  /** Files that those references lead to, and others by which the platform shows who it is: no reference of a resource may lead there. */
  privatePaths: readonly string[];
  /** All variables as they are: the gateway looks references such as `env: OPENAI_API_KEY` up in them, and nobody else. */
  environment: Readonly<Record<string, string | undefined>>;
};

/**
 * Reads the environment; nothing else of the product does.
 * @throws {PlatformError} `input_invalid` naming the variable and what is expected, never its value
 */
export const readConfig = (environment: Readonly<Record<string, string | undefined>> = process.env): Config => {
  const parsed = EnvironmentSchema.safeParse(environment);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new PlatformError(
      'input_invalid',
      `The environment variable ${issue?.path.join('.')} cannot be used: expected ${issue?.message}.`,
    );
  }
  const values = parsed.data;
  const [proofKind, proofFile] = values.QUARTERDECK_WORKER_PROOF?.split(/:(.*)/s) ?? [];
  const secretStores = readSecretStores(values);
  return {
    databaseUrl: typeof values.DATABASE_URL === 'string' ? values.DATABASE_URL : undefined,
    temporalAddress: values.TEMPORAL_ADDRESS,
    temporalNamespace: values.TEMPORAL_NAMESPACE ?? 'default',
    url: values.QUARTERDECK_URL?.replace(/\/$/, ''),
    token: values.QUARTERDECK_TOKEN,
    dataDirectory: values.QUARTERDECK_DATA ?? join(values.XDG_DATA_HOME ?? join(homedir(), '.local', 'share'), 'quarterdeck'),
    configDirectory: join(values.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'quarterdeck'),
    colours: values.NO_COLOR === undefined,
    logLevel: values.LOG_LEVEL ?? 'info',
    pipIndexUrl: values.PIP_INDEX_URL,
    tracing: tracingOf(values),
    secretStores,
    trustedProxies: values.QUARTERDECK_TRUSTED_PROXIES ?? [],
    opaProgram: values.QUARTERDECK_OPA,
    workerTrustFile: values.QUARTERDECK_WORKER_TRUST,
    workerProof: proofFile ? { kind: proofKind as 'kubernetes' | 'spiffe', file: proofFile } : undefined,
    references: installationReferences(values),
    rootKeys: {},
    privatePaths: [...filesOfStores(secretStores), ...(proofFile ? [proofFile] : [])],
    environment,
  };
};
