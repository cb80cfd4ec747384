import type { DeclaredPolicies } from '../../policy/assemble-policies.ts';
import type { ManifestInput } from '../../policy/rego/rego-input.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { DeclaredRego } from '../../schema/resources/rego.ts';
import type { CandidatePolicies } from './candidate-policies.ts';
import type { RegoIssue } from './compile-rego.ts';
import type { DocumentIssue } from './document-issue.ts';
import type { RegoWorkshop } from './rego-workshop.ts';

/** Given to a module to see that it can be asked at all; what it says of it does not matter. */
const probe = ({ org, project }: Tenancy): ManifestInput => ({
  version: 1,
  kind: 'manifest',
  ...{ org, project },
  atSeconds: 0,
  principal: { kind: 'person', id: '', person: '', role: '', fleet: '', run: '' },
  manifest: {},
});

const issuesAt = (document: number, rego: DeclaredRego, issues: readonly RegoIssue[]): DocumentIssue[] =>
  issues.map(({ module, line, message }) => {
    const index = rego.modules.findIndex(({ name }) => name === module);
    const where = module === undefined ? '' : ` in ${module}${line === undefined ? '' : `, line ${line}`}`;
    return {
      document,
      path: index < 0 ? ['spec', 'rego'] : ['spec', 'rego', 'modules', index, 'text'],
      message: `expected valid Rego${where}: ${message}`,
    };
  });

type Compiling = { ok: true; rego: DeclaredRego } | { ok: false; issues: RegoIssue[] };

const compileOne = async ({ compile, pool }: RegoWorkshop, tenancy: Tenancy, rego: DeclaredRego): Promise<Compiling> => {
  const compilation = await compile(rego);
  if (!compilation.ok) return compilation;
  const { compiled } = compilation;
  const verdict = await pool.evaluate({
    project: `trial of ${tenancy.org}`,
    compiled,
    input: probe(tenancy),
    timeLimitMs: rego.timeLimitMs,
  });
  return verdict.outcome === 'module-unusable'
    ? { ok: false, issues: [{ message: `the module cannot be asked: ${verdict.detail}` }] }
    : { ok: true, rego: { ...rego, compiled } };
};

/**
 * Compiles the Rego of all PolicySets that a project would have.
 * @returns the PolicySets with what was compiled, or what is wrong, at the documents that are given
 * @throws {PlatformError} `compiler_missing`, where there is Rego
 */
export const compilePolicies = async (
  workshop: RegoWorkshop,
  tenancy: Tenancy,
  { tried, documentOf }: Pick<CandidatePolicies, 'tried' | 'documentOf'>,
): Promise<{ ok: true; policySets: DeclaredPolicies[] } | { ok: false; issues: DocumentIssue[] }> => {
  const policySets: DeclaredPolicies[] = [];
  const issues: DocumentIssue[] = [];
  for (const { rego, ...set } of tried.policySets) {
    const compiling = rego ? await compileOne(workshop, tenancy, rego) : undefined;
    if (compiling?.ok === false && rego) issues.push(...issuesAt(documentOf(set.name), rego, compiling.issues));
    policySets.push({ ...set, ...(compiling?.ok ? { rego: compiling.rego } : {}) });
  }
  return issues.length > 0 ? { ok: false, issues } : { ok: true, policySets };
};
