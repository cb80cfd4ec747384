import { type Halt, type HaltScope, orgWideScopes } from '../schema/halt.ts';
import type { Tenancy } from '../schema/ids.ts';

/** What somebody is about to do, by everything in it that can be halted. */
export type Haltable = Tenancy & Partial<Record<Exclude<HaltScope, 'org' | 'project'>, string | undefined>>;

export type HaltIndex = {
  readonly isEmpty: boolean;
  /** The halt that is in the way, the widest first; undefined where there is none. */
  find(what: Haltable): Halt | undefined;
};

const keyOf = (scope: HaltScope, org: string, project: string, name: string): string =>
  `${scope} ${org} ${orgWideScopes.has(scope) ? '' : project} ${name}`;

const named = ['person', 'fleet', 'role', 'run', 'agent', 'server', 'model'] as const satisfies readonly HaltScope[];

/** Makes halts findable by what they are in the way of. */
export const indexHalts = (halts: readonly Halt[]): HaltIndex => {
  const byKey = new Map(halts.map((halt) => [keyOf(halt.scope, halt.org, halt.project, halt.name), halt]));
  return {
    isEmpty: byKey.size === 0,
    find: (what) => {
      const { org, project } = what;
      const wide = byKey.get(keyOf('org', org, '', '')) ?? byKey.get(keyOf('project', org, project, ''));
      if (wide) return wide;
      for (const scope of named) {
        const name = what[scope];
        const halt = name === undefined ? undefined : byKey.get(keyOf(scope, org, project, name));
        if (halt) return halt;
      }
      return undefined;
    },
  };
};
