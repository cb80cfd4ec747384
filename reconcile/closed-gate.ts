import { isInWindow, windowOpensAt } from './is-in-window.ts';
import type { TargetOf } from './target-port.ts';

/** What people paused beside the declaration; until an instant (ISO 8601) or, null, until they lift it. */
export type Pause = { reason: string; pausedBy: string; untilAt: string | null };
/** A project that is frozen pauses all that is of it, until a person lifts that. */
export const frozenPause: Pause = { reason: 'The project is frozen.', pausedBy: 'its project', untilAt: null };
/** `untilMs` null: nothing but somebody's act ends it. */
export type ClosedGate = { why: 'paused' | 'window'; untilMs: number | null; because: string };

/**
 * What people, the declaration or its windows say against beginning anything now; undefined where nothing does. What was begun is finished.
 * @param now - milliseconds since the epoch
 */
export const closedGate = ({
  target: { spec },
  pause,
  now,
}: {
  target: TargetOf;
  pause: Pause | null;
  now: number;
}): ClosedGate | undefined => {
  if (spec.paused) return { why: 'paused', untilMs: null, because: 'The target is declared paused.' };
  const pauseEnds = pause?.untilAt == null ? null : Date.parse(pause.untilAt);
  if (pause && (pauseEnds === null || pauseEnds > now))
    return { why: 'paused', untilMs: pauseEnds, because: `Paused by ${pause.pausedBy}: ${pause.reason}` };
  if (isInWindow(spec.windows, now)) return undefined;
  return { why: 'window', untilMs: windowOpensAt(spec.windows, now), because: "It is outside the target's windows." };
};
