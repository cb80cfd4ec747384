import type { RecordableDecision } from '../../policy/decision-record.ts';
import type { KnownRequest } from '../../policy/known.ts';
import type { RegoPolicies } from '../../policy/rego/rego-policies.ts';
import type { TargetPort } from '../../reconcile/target-port.ts';
import type { Verdict } from '../../schema/approval.ts';
import type { AuditVerification } from '../../schema/audit-verification.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { TargetType } from '../../schema/resources/reconcile-target.ts';
import type { RootKeyVersion } from '../../schema/seal-key.ts';
import type { FleetWorkflowInput, ReconcileWorkflowInput } from '../../schema/workflow-contract.ts';
import type { AuditPublicKey } from '../../store/audit-key.ts';
import type { AuditLog } from '../../store/audit-log.ts';
import type { RefusalCounter } from '../../store/audit-refusals.ts';
import type { ContentStore } from '../../store/contents.ts';
import type { Database } from '../../store/database.ts';
import type { Person } from '../../store/people.ts';
import type { SecretSources } from '../../store/secrets/references.ts';
import type { ContentKeys } from '../../store/secrets/seal.ts';
import type { RefusedKeys } from '../../store/watch-refused-keys.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { RegoWorkshop } from './rego-workshop.ts';

export type ApiAction =
  | 'applyResource'
  | 'approve'
  | 'approveServer'
  | 'deleteResource'
  | 'getResource'
  | 'halt'
  | 'launchFleet'
  | 'liftHalt'
  | 'loosenGuards'
  | 'steerTarget'
  | 'thawTarget'
  | 'approveFix'
  | 'manageRun'
  | 'readAudit'
  | 'releaseLabel'
  | 'seeApproval'
  | 'erasePerson';

/** One policy decision about what a person asks of the api; `policies` are the ids of those that decided. */
export type ApiDecision = Omit<RecordableDecision, 'effect'> & {
  effect: 'allow' | 'deny';
  decisionId: string;
  policies: string[];
  policyVersion?: string | undefined;
  /** The project has no usable policies, so the platform's own rules decided, to let them be mended. */
  stamp?: 'break-glass';
  /** What the person would need beside what was asked for, where that is why it was denied. */
  lacking?: string;
  /** What those who wrote the policies that denied it say to whoever is refused. */
  advice?: string;
};

/**
 * What a decision is about; `approval` says of an approval whose call it is, who may answer and what is answered, `submitters` of a server
 * who declared it.
 */
export type ApiTarget = {
  kind: string;
  name: string;
  approval?: { owner: string; approvers: readonly string[]; verdict: Verdict; acr: number };
  /** Of a fix that people are asked about: as policies know it, the digest of the plan that is answered for, and whether this person is asked. */
  fix?: { resource: KnownRequest['resource']; planHash: string; named: boolean };
  submitters?: readonly string[];
};

/** Decides by policy; without a target it is about the project as a whole. */
export type Authorize = (person: Person, action: ApiAction, tenancy: Tenancy, target?: ApiTarget) => Promise<ApiDecision>;

/** Judges Cedar texts of a project before they are stored; positions count from 1 inside the text. */
export type ValidatePolicies = (
  tenancy: Tenancy,
  cedarTexts: { name: string; cedar: string }[],
) => { ok: true } | { ok: false; issues: { name: string; message: string; line?: number; column?: number }[] };

export type FleetKey = Tenancy & { fleet: string; runId: string };

/** What is asked of Temporal. All may be asked again: a second start finds the first, a second cancellation or signal is harmless. */
export type TemporalPort = {
  /** @throws {PlatformError} retryable, when Temporal does not answer */
  startFleet(input: FleetWorkflowInput): Promise<void>;
  /** `gone` when no such workflow runs: it never started, or it has ended. */
  cancelFleet(key: FleetKey): Promise<'requested' | 'gone'>;
  /** Wakes the workflow of an agent that waits for an approval; `gone` when no such workflow runs. */
  tellAgent(told: { agent: string; approvalId: string }): Promise<'told' | 'gone'>;
  /** Has a target looked at: starts its reconcile workflow, or tells the one that runs. */
  startReconcile(key: ReconcileWorkflowInput): Promise<void>;
  /** Whether a target's reconcile workflow runs. */
  isReconciling(key: ReconcileWorkflowInput): Promise<boolean>;
};

export type ApiProfile = 'dev' | 'solo' | 'production';

/**
 * @property publicUrl - origin under which the api is reached, e.g. `http://127.0.0.1:7421`
 * @property gatewayUrl - origin of the gateway, which passes `/api/*` through; its Host and Origin are accepted too
 * @property issuer - whose access tokens are taken; absent where nobody logs in
 * @property dataDirectory - absolute path; runs write to `runs/ID/output` in it unless they name another folder
 */
export type ApiConfig = {
  port: number;
  publicUrl: string;
  gatewayUrl: string;
  dataDirectory: string;
  profile: ApiProfile;
  issuer?: { issuerUrl: string; jwksUri: string };
  /** Addresses or CIDR ranges of proxies that are believed about where requests come from; none unless said. */
  trustedProxies?: readonly string[];
};

export type ApiDependencies = {
  database: Database;
  audit: AuditLog;
  /** Refusals of callers that nobody knows. */
  unknownCallers: RefusalCounter;
  verifyAudit: () => Promise<AuditVerification>;
  /** What checkpoints of the audit are verified with; exports tell it. */
  auditPublicKey: AuditPublicKey;
  contentStore: ContentStore;
  /** Shared with the gateway: opens calls that wait for an approval. */
  approvalKeys: ContentKeys;
  temporal: TemporalPort;
  authorize: Authorize;
  validatePolicies: ValidatePolicies;
  /** What compiles Rego and evaluates it, and the Rego in force. */
  rego: RegoWorkshop & { inForce: RegoPolicies };
  /** Signs the exact text of a publication; gateways take over none without. */
  signPolicies: (content: string) => string;
  logger: Logger;
  /** What a target is looked at with when somebody asks why it is where it is. */
  targetPorts: { of: (type: TargetType) => TargetPort | undefined };
  clock: () => Date;
  /** The keys that wrap others, by what stands on them; the keys themselves the api does not get. */
  listRootKeys?: () => Promise<RootKeyVersion[]>;
  /** Keys of the issuer that are refused. */
  refusedKeys?: RefusedKeys;
  /** Absent where no channel can be answered by. */
  channels?: ChannelAnswers;
};

/** What answers by channels need: where references to their secrets lead, and the way to a channel's own addresses. */
export type ChannelAnswers = { secrets: SecretSources; fetch: typeof globalThis.fetch };

export type ApiEnvironment = { Variables: { requestId: string; person: Person } };
