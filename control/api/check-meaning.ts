import { Ajv2020 } from 'ajv/dist/2020.js';
import { actingFleet, reconcileFleet } from '../../schema/ids.ts';
import { type Kind, kinds, type Resource } from '../../schema/resource.ts';
import type { PolicySetSpec } from '../../schema/resources/access.ts';
import type { FleetSpec } from '../../schema/resources/fleet.ts';
import type { TargetSpecOf } from '../../schema/resources/reconcile-target.ts';
import type { ResourceIssue } from '../../schema/validate-resource.ts';
import { ruleIssues } from './check-rule.ts';
import { targetIssues } from './check-targets.ts';

const ajv = new Ajv2020({ strict: false, logger: false });

const outputIssues = (output: Record<string, unknown>): ResourceIssue[] => {
  if (ajv.validateSchema(output)) return [];
  return (ajv.errors ?? []).slice(0, 1).map(({ instancePath, message }) => ({
    path: ['spec', 'output', ...instancePath.split('/').slice(1)],
    message: `expected JSON Schema (2020-12): this ${message ?? 'is none'}`,
  }));
};

/** Says what is wrong with a dotted path, as far as the fleet alone shows: an input that is not declared, a stage that is not before. */
const pathIssue = (path: string, inputs: ReadonlySet<string>, earlier: ReadonlySet<string>): string | undefined => {
  const [root, name = ''] = path.split('.');
  if (root === 'inputs' && !inputs.has(name)) return `expected an input of this fleet after \`inputs.\`; there is no \`${name}\``;
  if (root === 'stages' && !earlier.has(name)) return `expected an earlier stage after \`stages.\`; \`${name}\` is none`;
  return undefined;
};

const fleetIssues = ({ inputs, stages, output }: FleetSpec): ResourceIssue[] => {
  const issues: ResourceIssue[] = [];
  const names = new Set<string>();
  const volumes = new Set<string>(output ? [output.volume] : []);
  for (const [index, input] of inputs.entries()) {
    if (names.has(input.name))
      issues.push({ path: ['spec', 'inputs', index, 'name'], message: `expected a name of its own; \`${input.name}\` is taken` });
    names.add(input.name);
    if (input.type !== 'folder') continue;
    if (volumes.has(input.volume))
      issues.push({ path: ['spec', 'inputs', index, 'volume'], message: `expected a volume of its own; \`${input.volume}\` is taken` });
    volumes.add(input.volume);
  }
  const earlier = new Set<string>();
  for (const [index, stage] of stages.entries()) {
    const check = (path: string, at: (string | number)[]): void => {
      const message = pathIssue(path, names, earlier);
      if (message) issues.push({ path: ['spec', 'stages', index, ...at], message });
    };
    if (stage.forEach) check(stage.forEach, ['forEach']);
    for (const [key, value] of Object.entries(stage.input))
      if (
        typeof value === 'object' &&
        value !== null &&
        !Array.isArray(value) &&
        Object.keys(value).length === 1 &&
        typeof value.from === 'string'
      )
        check(value.from, ['input', key, 'from']);
    earlier.add(stage.name);
  }
  return issues;
};

/** Rego that refused every PolicySet could never be replaced. */
const regoIssues = (rego: PolicySetSpec['rego']): ResourceIssue[] =>
  (rego?.manifests ?? []).flatMap((kind, index): ResourceIssue[] => {
    const path = ['spec', 'rego', 'manifests', index];
    if (kind === 'PolicySet') return [{ path, message: 'expected another kind: PolicySets are judged by golden decisions' }];
    return kinds.includes(kind as Kind) ? [] : [{ path, message: `expected a kind; there is no \`${kind}\`` }];
  });

/** Names of observations and actions that meet, or that nothing else of the target has. */
const mcpTargetIssues = ({ observe, desired, actions }: TargetSpecOf<'mcp'>): ResourceIssue[] => {
  const seen = new Set(observe.map(({ name }) => name));
  const twice = (list: 'observe' | 'actions', names: readonly string[]): ResourceIssue[] =>
    names.flatMap((name, index) =>
      names.indexOf(name) < index ? [{ path: ['spec', list, index, 'name'], message: `expected another name; \`${name}\` is taken` }] : [],
    );
  return [
    ...twice(
      'observe',
      observe.map(({ name }) => name),
    ),
    ...twice(
      'actions',
      actions.map(({ name }) => name),
    ),
    ...Object.keys(desired).flatMap((name) =>
      seen.has(name) ? [] : [{ path: ['spec', 'desired', name], message: `expected the name of one of \`observe\`; none is \`${name}\`` }],
    ),
    ...actions.flatMap(({ of }, index) =>
      Object.hasOwn(desired, of)
        ? []
        : [{ path: ['spec', 'actions', index, 'of'], message: `expected the name of one of \`desired\`; none is \`${of}\`` }],
    ),
  ];
};

/** What a schema of shapes cannot say about one resource: whether it makes sense in itself. */
export const checkMeaning = (resource: Resource): ResourceIssue[] => {
  if (resource.kind === 'AgentRole') return outputIssues(resource.spec.output);
  // policies know the agents of diagnoses by the fleet that they belong to
  if (resource.kind === 'Fleet' && [reconcileFleet, actingFleet].includes(resource.metadata.name))
    return [{ path: ['metadata', 'name'], message: `expected another name; \`${resource.metadata.name}\` is the reconciler's own` }];
  if (resource.kind === 'ReconcileTarget' && resource.spec.type === 'mcp') return mcpTargetIssues(resource.spec);
  if (resource.kind === 'Fleet') return fleetIssues(resource.spec);
  if (resource.kind === 'ReconcileTarget') return targetIssues(resource);
  if (resource.kind === 'PolicySet') return regoIssues(resource.spec.rego);
  if (resource.kind === 'ReconcileRule') return ruleIssues(resource.spec);
  return [];
};
