import type { PlatformPatience } from '../../activities/targets/platform-context.ts';
import type { ApiConfig } from '../../control/api/api-dependencies.ts';
import type { DevIdpConfig } from '../../control/dev-idp/dev-idp-config.ts';
import type { IssuerConfig } from '../../control/issuer/issuer-config.ts';
import type { GatewayConfig } from '../../gateway/gateway-config.ts';
import type { HostConfig } from '../../runtime/host/host-config.ts';
import type { AuditKeyJwk } from '../../store/audit-key.ts';
import type { SecretSources } from '../../store/secrets/references.ts';
import type { SecretStoreSettings } from '../../store/secrets/settings.ts';

export type TemporalAddress = { temporalAddress: string; temporalNamespace: string };

/** The issuer, the api and the controller share a process on one machine, with a listener each. */
export type ControlConfig = TemporalAddress & {
  databaseUrl: string;
  /** 32 bytes in base64. */
  contentKey: string;
  /** 32 bytes in base64, shared with the gateway (`approvalKeyOf`). */
  approvalKey: string;
  /** 32 bytes in base64, see `GatewayConfig`. */
  auditKey: string;
  /** Signs checkpoints of the audit. The database does not hold it, and no other process is told. */
  auditSigningKey: AuditKeyJwk;
  /** File outside the database where checkpoints are kept too; absolute path. */
  checkpointFile: string;
  /** What published policies are signed with is made from this. */
  policySecret: string;
  /** The program `opa`; absent: it is looked for on the path and in our cache. */
  opaProgram?: string;
  /** Where references of channels lead. */
  secrets: Omit<SecretSources, 'stores'>;
  /** Vault and Kubernetes, where references of client secrets may lead to them. */
  secretStores: SecretStoreSettings;
  /** 32 bytes in base64: seals the private keys of the issuer. No other process is told. */
  signingKeysSeal: string;
  issuer: IssuerConfig;
  /** How long what this installation mends by itself may take before it is drift (`realPatience`). */
  patience?: Partial<PlatformPatience>;
  /** The login provider of this machine; absent in the profile `production`. */
  devIdp?: DevIdpConfig;
  api: ApiConfig;
};

/** A kind of work with a task queue of its own, for which there may be workers that do nothing else. */
export type WorkerPool = 'control' | 'model' | 'tool' | 'apply';

export type WorkerConfig = TemporalAddress & {
  databaseUrl: string;
  /** 32 bytes in base64. */
  contentKey: string;
  gatewayUrl: string;
  issuerUrl: string;
  /** Where the proof of who this worker is comes from; without it, it asks its supervisor for a token and joins the issuer. */
  proof?: WorkerProofFile;
  /** Kinds of work that this worker does; all of them unless said. */
  pools?: readonly WorkerPool[];
  /** What it takes to keep targets; absent: this worker does not serve the queue `apply`. */
  apply?: ApplyConfig;
};

/** What the pool `apply` alone is told, which reaches what is kept. */
export type ApplyConfig = {
  /** 32 bytes in base64, see `GatewayConfig`. */
  auditKey: string;
  /** 32 bytes in base64, shared with the api: approvals of fixes are sealed for who may see them. */
  approvalKey: string;
  policyPublicKey: string;
  /** Where references of targets lead. */
  secrets: Omit<SecretSources, 'stores'>;
  secretStores: SecretStoreSettings;
  /** Whether the installation has one person alone. */
  mayApproveOwn: boolean;
  /** As that of the process `control`. */
  patience?: Partial<PlatformPatience>;
};

export type EgressConfig = {
  databaseUrl: string;
  /** 32 bytes in base64, see `GatewayConfig`. */
  auditKey: string;
  /** Folder for the ways out of servers; made before. */
  directory: string;
  /** The authority that cages trust, PEM. */
  authority: { certificate: string; key: string };
  /** Ports of the platform on this machine. */
  closedPorts: number[];
  /** Whom the process turns into once it has read its modules; absent: it stays who started it. */
  account?: { uid: number; gid: number };
};
/** A service-account token or a JWT-SVID that somebody keeps fresh in a file; absolute path. */
export type WorkerProofFile = { kind: 'kubernetes' | 'spiffe'; file: string };

export type LocalModelConfig = {
  port: number;
  /** Key that every request has to bring as a bearer token. */
  key: string;
  /** Folder with the model and the library that runs it, where they are installed. */
  cacheDirectory: string;
};

/** What each process is told at its start. */
export type ProcessConfigs = {
  control: ControlConfig;
  gateway: GatewayConfig;
  host: HostConfig;
  egress: EgressConfig;
  worker: WorkerConfig;
  'local-model': LocalModelConfig;
};
export type ProcessName = keyof ProcessConfigs;
