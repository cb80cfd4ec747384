import { type Guarded, loosenedGuards } from '../../policy/loosened-guards.ts';
import { PlatformError } from '../../schema/errors.ts';
import type { Tenancy } from '../../schema/ids.ts';
import type { Resource } from '../../schema/resource.ts';
import { ProjectSpecSchema } from '../../schema/resources/project.ts';
import { ReconcileTargetSpecSchema } from '../../schema/resources/reconcile-target.ts';
import type { Person } from '../../store/people.ts';
import type { ApiProfile } from './api-dependencies.ts';
import { undeclaredApproval } from './change-need.ts';
import type { Permit } from './permit.ts';

/** What a permitted change loosens, and by which decision it may, as its row of the audit says. */
export type Loosened = { loosened: string[]; loosenDecisionId: string };
type Declaration = Pick<Resource, 'kind' | 'spec' | 'metadata'>;

/** A spec of an earlier release is read with what it does not say; undefined where it cannot be read at all. */
const guardedOf = ({ kind, spec }: Declaration): Guarded | undefined => {
  if (kind === 'Project') {
    const read = ProjectSpecSchema.safeParse(spec);
    return read.success ? { kind, spec: read.data } : undefined;
  }
  const read = ReconcileTargetSpecSchema.safeParse(spec);
  return read.success ? { kind: 'ReconcileTarget', spec: read.data } : undefined;
};

/**
 * Lets only those loosen what guards others who may: a right to declare projects or targets is not one to say that fewer people are asked, or
 * that less stays on record.
 */
export const createGuardedChanges = ({ permit, profile }: { permit: Permit; profile: ApiProfile }) => {
  const undeclared = undeclaredApproval(profile);
  const loosenedBy = (before: Declaration | undefined, after: Declaration | undefined): string[] => {
    const kind = (before ?? after)?.kind;
    if (kind !== 'Project' && kind !== 'ReconcileTarget') return [];
    const was = before && guardedOf(before);
    // nobody can tell what guarded others in what cannot be read
    if (before && !was) return ['spec'];
    return loosenedGuards(was, after && guardedOf(after), { undeclared });
  };

  return {
    /**
     * Asks policy about a change that loosens a guard. @returns undefined where it loosens none
     * @param before - undefined where it is not there yet; `after` where it is deleted
     * @throws {PlatformError} `not_permitted`, `login_stale`
     */
    permitChange: async (
      person: Person,
      tenancy: Tenancy,
      before: Declaration | undefined,
      after: Declaration | undefined,
    ): Promise<Loosened | undefined> => {
      const loosened = loosenedBy(before, after);
      const about = before ?? after;
      if (loosened.length === 0 || !about) return undefined;
      const { decisionId } = await permit(person, 'loosenGuards', tenancy, { kind: about.kind, name: about.metadata.name });
      return { loosened, loosenDecisionId: decisionId };
    },

    /** To be called under the org's lock: what was declared since the permission may guard more. @throws {PlatformError} `conflict` */
    refuseUnseen: (permitted: Loosened | undefined, before: Declaration | undefined, after: Declaration | undefined): void => {
      const unseen = loosenedBy(before, after).filter((guard) => !permitted?.loosened.includes(guard));
      const about = before ?? after;
      if (unseen.length > 0 && about)
        throw new PlatformError(
          'conflict',
          `${about.kind} ${about.metadata.name} was changed a moment ago, and this would loosen ${unseen.join(', ')} of it; look at it and try again.`,
        );
    },
  };
};
export type GuardedChanges = ReturnType<typeof createGuardedChanges>;
