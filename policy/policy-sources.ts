import { type PolicyJson, policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Tenancy } from '../schema/ids.ts';
import { linksOf, type PlatformPolicies, type ProjectPolicies, splitPolicySet } from './assemble-policies.ts';
import { entityText } from './policy-text.ts';

/** Where a policy is written: the resource that has it, or the platform itself, and in a PolicySet the line of its text, from 1. */
export type PolicySource = {
  id: string;
  kind: 'Platform' | 'PolicySet' | 'AccessBinding';
  /** Of the resource; of the platform's own the name without `platform/`. */
  name: string;
  line?: number;
  text: string;
  json: PolicyJson;
};

const jsonOf = (text: string): PolicyJson => {
  const answer = policyToJson(text);
  if (answer.type === 'failure') throw new Error(`a policy that was in force does not parse: ${answer.errors[0]?.message}`);
  return answer.json;
};

const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length;

const ofPolicySet = ({ name, cedar }: ProjectPolicies['policySets'][number]): PolicySource[] => {
  const parts = splitPolicySet(name, cedar);
  if (!parts.ok) throw new Error(`PolicySet ${name} does not parse: ${parts.issues[0]?.message}`);
  let from = 0;
  return Object.entries(parts.policies).map(([id, text]) => {
    const at = Math.max(cedar.indexOf(text, from), from);
    from = at + text.length;
    return { id, kind: 'PolicySet', name, line: lineAt(cedar, at), text, json: jsonOf(text) };
  });
};

/** A template as a binding links it, written out. */
const ofBinding = (
  tenancy: Tenancy,
  binding: ProjectPolicies['bindings'][number],
  templates: PlatformPolicies['templates'],
): PolicySource[] =>
  linksOf(tenancy, binding).map(({ newId, templateId, values }) => {
    const template = templates[templateId.slice('template/'.length) as keyof typeof templates];
    const text = template.replaceAll(/\?(?:principal|resource)/g, (slot) => entityText(values[slot as keyof typeof values]));
    return { id: newId, kind: 'AccessBinding', name: binding.name, text, json: jsonOf(text) };
  });

/** All policies of a project by id, each with where it is written. @throws where they are not those of an accepted bundle */
export const policySources = (
  tenancy: Tenancy,
  { policySets, bindings }: ProjectPolicies,
  { policies, templates }: PlatformPolicies,
): ReadonlyMap<string, PolicySource> =>
  new Map(
    [
      ...Object.entries(policies).map(
        ([id, text]): PolicySource => ({ id, kind: 'Platform', name: id.replace(/^platform\//, ''), text, json: jsonOf(text) }),
      ),
      ...policySets.flatMap(ofPolicySet),
      ...bindings.flatMap((binding) => ofBinding(tenancy, binding, templates)),
    ].map((source) => [source.id, source]),
  );
