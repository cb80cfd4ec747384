import type { EntityJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs';
import { type DecisionBasis, formatBasis } from '../schema/decision-basis.ts';
import type { Tenancy } from '../schema/ids.ts';
import { currentPlatform, type DeclaredPolicies, type PlatformPolicies, type ProjectPolicies } from './assemble-policies.ts';
import { digestOf, digestOfText, type Known, type KnownRequest } from './known.ts';

/** One thing that decisions were made on, as it is stored: content, and the digest of it. */
export type FactsPart = { digest: string; value: unknown };
/** The policies of a project as they were in force; `platform` is the digest of the release's own. */
export type StoredBundle = Tenancy & ProjectPolicies & { platform: string };
export type StoredKnown = { uid: TypeAndId; entities: EntityJson[] };

export type PolicyBundle = FactsPart & { value: StoredBundle };

const partOf = <Value>(value: Value): FactsPart & { value: Value } => ({ digest: digestOfText(JSON.stringify(value)), value });

const platformPart: FactsPart & { value: PlatformPolicies } = partOf(currentPlatform);

/** Compiled code is no part of the record: its digest says which it was. */
const withoutCode = ({ rego, ...rest }: DeclaredPolicies): DeclaredPolicies => ({
  ...rest,
  ...(rego ? { rego: { ...rego, ...(rego.compiled ? { compiled: { ...rego.compiled, wasm: '' } } : {}) } } : {}),
});

export const bundleOf = ({ org, project }: Tenancy, { policySets, bindings }: ProjectPolicies): PolicyBundle =>
  partOf({ org, project, platform: platformPart.digest, policySets: policySets.map(withoutCode), bindings });

/** A decision with what it was made on, as long as both are at hand. */
export type RecordableDecision = {
  effect: DecisionBasis['effect'];
  /** The policies that were asked; missing where none were loaded. */
  bundle?: PolicyBundle;
  asked?: KnownRequest;
};

const storedKnown = (known: Known): FactsPart => ({ digest: digestOf(known), value: { uid: known.uid, entities: known.entities } });

/** The text that a row of the audit holds; null where no policies were asked. */
export const basisOf = ({ effect, bundle, asked }: RecordableDecision): string | null =>
  bundle && asked
    ? formatBasis({
        effect,
        action: asked.action,
        forAnyArguments: asked.forAnyArguments ?? false,
        policies: bundle.digest,
        principal: digestOf(asked.principal),
        resource: digestOf(asked.resource),
        surroundings: digestOf(asked.surroundings),
      })
    : null;

/** All that the basis refers to. */
export const partsOf = ({ bundle, asked }: RecordableDecision): FactsPart[] =>
  bundle && asked ? [platformPart, bundle, storedKnown(asked.principal), storedKnown(asked.resource), storedKnown(asked.surroundings)] : [];
