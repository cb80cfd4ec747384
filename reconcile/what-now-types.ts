import type { Drift } from '../schema/reconcile/drift.ts';

/**
 * `answered`: people or a diagnosis said to leave it. `settling`: it was just put back. `wave`: an earlier wave is not well yet. `deleting`: it is
 * on its way out. `mass-prune`: too much is declared no more.
 */
export type WhyWait =
  | 'frozen'
  | 'paused'
  | 'held'
  | 'window'
  | 'rate'
  | 'blocked'
  | 'answered'
  | 'cooldown'
  | 'settling'
  | 'wave'
  | 'deleting'
  | 'mass-prune';
/** `was-held`: people held it until lately; they are asked, and no model. */
export type WhyEscalate = 'no-rule' | 'rule-failed' | 'ineffective' | 'contested' | 'was-held';
/** What is done next, and why, as a sentence for people. `untilMs` null: nothing but somebody's act ends the waiting. */
export type WhatNow = { because: string } & (
  | { next: 'nothing' }
  | { next: 'wait'; untilMs: number | null; why: WhyWait; drift?: Drift }
  | { next: 'contested'; drift: Drift; field: string; untilMs: number | null }
  | { next: 'rule'; drift: Drift }
  | { next: 'escalate'; drift: Drift; why: WhyEscalate }
);
