import type { Pin } from '../../schema/definition.ts';
import { withHiddenShown } from '../../schema/hidden-characters.ts';
import { unifiedDiff } from './unified-diff.ts';

/** `tool/read_file`: how commands name one definition. */
export const pinReference = ({ kind, name }: Pick<Pin, 'kind' | 'name'>): string => `${kind}/${withHiddenShown(name)}`;

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
};

/** A definition as text to compare: keys in order, and every character to be seen. */
const definitionText = (definition: Record<string, unknown> | null): string =>
  definition ? withHiddenShown(JSON.stringify(sorted(definition), undefined, 2)) : '';

/** What a person has to know before they accept a definition: state, issues, the hash that accepting is bound to, and the difference. */
export const pinDiff = (pin: Pin): string => {
  const path = `${pin.server}/${pinReference(pin)}`;
  const isGone = pin.state === 'gone';
  const names = { before: pin.pinned ? `approved/${path}` : '/dev/null', after: isGone ? '/dev/null' : `offered/${path}` };
  const [before, after] = [definitionText(pin.pinned), definitionText(isGone ? null : (pin.offered ?? pin.pinned))];
  return [
    `# ${path}: ${pin.state}${pin.currentHash === '' ? '' : `, hash ${pin.currentHash}`}`,
    ...pin.issues.map((issue) => `# ISSUE: ${withHiddenShown(issue)}`),
    ...pin.warnings.map((warning) => `# warning: ${withHiddenShown(warning)}`),
    unifiedDiff(before, after, names),
  ].join('\n');
};

/** Head and rows of the table of pins. */
export const pinRows = (pins: readonly Pin[]): { head: string[]; rows: string[][] } => ({
  head: ['SERVER', 'KIND', 'NAME', 'STATE', 'BY', 'HASH', 'REMARKS'],
  rows: pins.map(({ server, kind, name, state, approvedBy, currentHash, issues, warnings }) => [
    server,
    kind,
    withHiddenShown(name),
    state,
    state === 'approved' ? (approvedBy ?? 'apply') : '',
    currentHash.slice(0, 12),
    [...issues, ...warnings].map(withHiddenShown).join('; '),
  ]),
});
