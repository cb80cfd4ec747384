import type { ProjectPolicies } from '../policy/assemble-policies.ts';
import type { PolicyEngine } from '../policy/engine.ts';
import type { Tenancy } from '../schema/ids.ts';
import { type Declared, projectPolicies } from '../store/declared.ts';
import type { PublishedContent } from '../store/published-policies.ts';
import type { VerifyPolicies } from '../store/secrets/policy-signature.ts';
import type { Logger } from '../telemetry/logger.ts';

/** An hour: for so long the last good policies stand in for a publication that is missing or damaged; then all is denied. */
const graceMs = 3_600_000;

type Found = { ok: true; policies: ProjectPolicies; version: number } | { ok: false; reason: string };

const readContent = (content: string, { org, project }: Tenancy, version: number): PublishedContent | undefined => {
  const read = JSON.parse(content) as PublishedContent;
  return read.org === org && read.project === project && read.version === version && Array.isArray(read.policySets) ? read : undefined;
};

/**
 * Takes over the policies of projects, each whole or not at all. A project whose policies are published has what was signed, whatever else
 * the tables say; a publication that is gone, damaged, of another project or older than one that was seen or is on record changes nothing.
 */
export const createPolicyKeeper = ({
  policy,
  verify,
  onPolicies,
  onDenied,
  logger,
  graceMs: grace = graceMs,
}: {
  policy: Pick<PolicyEngine, 'load' | 'unload'>;
  /** Told of the policies of a project that were put into force. */
  onPolicies?: (tenancy: Tenancy, policies: ProjectPolicies) => void;
  /** Told of each project in which everything is denied from now on, since the last good policies are too old. */
  onDenied?: (tenancy: Tenancy) => void;
  verify: VerifyPolicies;
  logger: Logger;
  graceMs?: number;
}) => {
  const seen = new Map<string, number>();
  const ends = new Map<string, NodeJS.Timeout>();

  const find = (declared: Declared, tenancy: Tenancy, known: number): Found => {
    const published = declared.publishedPolicies(tenancy);
    const policies = projectPolicies(declared, tenancy);
    if (!published) return known === 0 ? { ok: true, policies, version: 0 } : { ok: false, reason: `publication ${known} is gone` };
    const { version, content, signature } = published;
    if (version < known) return { ok: false, reason: `publication ${version} is older than ${known}, which was in force` };
    // what is signed is looked at only when the signature is right
    if (!verify(content, signature)) return { ok: false, reason: `the signature of publication ${version} is not right` };
    const signed = readContent(content, tenancy, version);
    if (!signed) return { ok: false, reason: `publication ${version} is of another project or version` };
    return { ok: true, policies: { ...policies, policySets: signed.policySets }, version };
  };

  const keepLastGood = (key: string, tenancy: Tenancy, reason: string): void => {
    if (!seen.has(key)) {
      logger.error(
        { ...tenancy, reason },
        'the published policies of a project cannot be used; everything is denied until there are good ones',
      );
      return;
    }
    logger.error(
      { ...tenancy, reason },
      'the published policies of a project cannot be used; the last good ones stay in force for an hour at most',
    );
    if (ends.has(key)) return;
    const end = setTimeout(() => {
      logger.error(tenancy, 'the last good policies of a project are too old; everything is denied until there are good ones');
      policy.unload(tenancy);
      onDenied?.(tenancy);
    }, grace);
    ends.set(key, end.unref());
  };

  const takeOver = (declared: Declared, tenancy: Tenancy): void => {
    const key = `${tenancy.org}/${tenancy.project}`;
    // also those of another process's time: a start is no way around the end of what was published
    const found = find(declared, tenancy, Math.max(seen.get(key) ?? 0, declared.publishedVersion(tenancy)));
    if (!found.ok) {
      keepLastGood(key, tenancy, found.reason);
      return;
    }
    const loaded = policy.load(tenancy, found.policies);
    if (!loaded.ok) {
      logger.error({ ...tenancy, issues: loaded.issues }, 'policies of a project are not valid; the last good ones stay in force');
      return;
    }
    onPolicies?.(tenancy, found.policies);
    seen.set(key, found.version);
    clearTimeout(ends.get(key));
    ends.delete(key);
  };

  return {
    /** Puts the policies of each project of a view into force. */
    take: (declared: Declared): void => {
      for (const tenancy of declared.projects()) takeOver(declared, tenancy);
    },
    close: (): void => {
      for (const end of ends.values()) clearTimeout(end);
    },
  };
};
