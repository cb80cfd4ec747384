/**
 * Why a request has no answer: the caller took it back, a deadline passed, the connection could not be made or broke, the server is another
 * process than was compared with the pins, it refused to hear the request, what came is no answer, or it is not asked at the moment.
 */
export type LossReason = 'caller' | 'deadline' | 'connection' | 'other-instance' | 'refused' | 'unusable' | 'breaker';

/** A request that ended without an answer. `wasSent: false` is only said when it is certain. */
export class UpstreamLost extends Error {
  readonly wasSent: boolean;
  readonly reason: LossReason;

  constructor(wasSent: boolean, cause?: unknown, reason: LossReason = 'connection') {
    super(`the server gave no answer (${reason})`, { cause });
    this.name = 'UpstreamLost';
    this.wasSent = wasSent;
    this.reason = reason;
  }
}
