import type { RegoFailure } from '../../schema/resources/rego.ts';

/** What an evaluation found: nothing against it, rules that deny, or no usable answer, which refuses as well. */
export type RegoVerdict =
  | { outcome: 'pass' }
  | { outcome: 'deny'; denials: { rule?: string; message: string }[] }
  | { outcome: RegoFailure; detail: string };

/** What the two rules gave: an empty list where a rule is undefined, a missing one where the modules have no such rule. */
export type RegoResults = { deny?: readonly { result: unknown }[]; allow?: readonly { result: unknown }[] };

const mostDenials = 8;
const longestMessage = 300;
const ruleName = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

const unusable = (detail: string): RegoVerdict => ({ outcome: 'result-unusable', detail });
const cut = (message: string): string =>
  message
    .replaceAll(/\p{Cc}+/gu, ' ')
    .slice(0, longestMessage)
    .toWellFormed();

const denialOf = (value: unknown): { rule?: string; message: string } | undefined => {
  if (typeof value === 'string') return { message: cut(value) };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { rule, message } = value as { rule?: unknown; message?: unknown };
  if (typeof message !== 'string') return undefined;
  if (rule === undefined) return { message: cut(message) };
  return typeof rule === 'string' && ruleName.test(rule) ? { rule, message: cut(message) } : undefined;
};

/**
 * Reads what the rules `deny` and `allow` of `data.quarterdeck` gave. Only this passes: a `deny` that is an empty set, where there is
 * one, and an `allow` that is `true`, where there is one. What is undefined, or of another type, refuses: it says that the
 * policy met something that it was not written for.
 */
export const readVerdict = ({ deny, allow }: RegoResults): RegoVerdict => {
  if (deny === undefined && allow === undefined) return { outcome: 'module-unusable', detail: 'it has neither `deny` nor `allow`' };
  if (deny !== undefined) {
    const [first, second] = deny;
    if (first === undefined) return { outcome: 'undefined', detail: '`deny` is undefined' };
    if (second !== undefined || !Array.isArray(first.result)) return unusable('`deny` is no set');
    const denials = first.result.slice(0, mostDenials).map(denialOf);
    if (denials.some((denial) => denial === undefined))
      return unusable('`deny` holds something else than texts and objects with a `message`');
    if (denials.length > 0) return { outcome: 'deny', denials: denials.filter((denial) => denial !== undefined) };
  }
  if (allow === undefined) return { outcome: 'pass' };
  const [first, second] = allow;
  if (first === undefined) return { outcome: 'undefined', detail: '`allow` is undefined' };
  if (second !== undefined || typeof first.result !== 'boolean') return unusable('`allow` is no boolean');
  return first.result ? { outcome: 'pass' } : { outcome: 'deny', denials: [{ rule: 'allow', message: '`allow` is false.' }] };
};
