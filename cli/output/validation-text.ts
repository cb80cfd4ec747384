import { type GoldenResult, isRed, type ValidationReport } from '../../schema/policy-publication.ts';
import { effectText } from './effect-text.ts';
import { plainText } from './plain-text.ts';

const reasonOf = ({ expect, found, policies, error }: GoldenResult): string =>
  error === null
    ? `expected ${effectText(expect)}, found ${effectText(found)} by ${policies.join(', ') || 'no policy'}`
    : `cannot be decided: ${error}`;

/** Each golden decision in a line. */
export const goldenLines = ({ golden }: Pick<ValidationReport, 'golden'>): string[] =>
  golden.map((result) =>
    plainText(
      `${isRed(result) ? 'RED' : 'ok '}  ${result.policySet}: ${result.name}${isRed(result) ? `: ${reasonOf(result)}` : ` (${effectText(result.expect)})`}`,
    ),
  );

/** What is wrong, or may be, beside golden decisions. */
export const remarkLines = ({ platform, warnings }: ValidationReport): string[] =>
  [
    ...platform.map(({ name }) => `A rule of the platform is missing or broken: ${name} would get through.`),
    ...warnings.map(({ policySet, line, message }) => `Warning: ${policySet}, line ${line}: ${message}`),
  ].map(plainText);

export const isGood = ({ golden, platform }: ValidationReport): boolean => platform.length === 0 && !golden.some(isRed);

export const validationSummary = ({ policies, golden, rego }: ValidationReport): string => {
  const red = golden.filter(isRed).length;
  return `${policies} ${policies === 1 ? 'policy' : 'policies'}, valid; ${golden.length} golden ${golden.length === 1 ? 'decision' : 'decisions'}, ${red === 0 ? 'none' : red} red.${rego.map(({ policySet, compiler, bundle }) => ` Rego of ${policySet}: ${compiler}, bundle ${bundle.slice(0, 12)}.`).join('')}`;
};
