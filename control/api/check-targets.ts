import { declaredOf } from '../../activities/targets/kubernetes-manifests.ts';
import type { Resource } from '../../schema/resource.ts';
import type { ResourceIssue } from '../../schema/validate-resource.ts';

type Target = Extract<Resource, { kind: 'ReconcileTarget' }>;

/** Names that occur twice, where the second stands. */
const twice = (names: readonly string[], path: (string | number)[]): ResourceIssue[] =>
  names.flatMap((name, index) =>
    names.indexOf(name) === index ? [] : [{ path: [...path, index, 'name'], message: `expected a name of its own; \`${name}\` is taken` }],
  );

/**
 * What a target says that it cannot be kept by: manifests that no adapter takes, observations and actions that do not fit together. Whoever
 * declares it hears of it then, and not by a target that is `unknown` for ever.
 */
export const targetIssues = ({ metadata, spec }: Pick<Target, 'metadata' | 'spec'>): ResourceIssue[] => {
  if (spec.type === 'kubernetes') {
    const { org, project, name } = metadata;
    const set = declaredOf({ org, project, name, generation: 0, spec });
    return set.ok ? [] : [{ path: ['spec', 'manifests'], message: `expected manifests that can be kept: ${set.message}` }];
  }
  if (spec.type !== 'mcp') return [];
  const seen = spec.observe.map(({ name }) => name);
  const unseen = (name: string): string => `expected a name of \`observe\`; \`${name}\` is none, so nobody would see it`;
  return [
    ...twice(seen, ['spec', 'observe']),
    ...twice(
      spec.actions.map(({ name }) => name),
      ['spec', 'actions'],
    ),
    ...Object.keys(spec.desired).flatMap((name) =>
      seen.includes(name) ? [] : [{ path: ['spec', 'desired', name], message: unseen(name) }],
    ),
    ...spec.actions.flatMap(({ of }, index) =>
      seen.includes(of) ? [] : [{ path: ['spec', 'actions', index, 'of'], message: unseen(of) }],
    ),
  ];
};
