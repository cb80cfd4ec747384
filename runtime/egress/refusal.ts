/** Why a connection or a request did not go on, and what the server's HTTP client is told. */
export const refusalReasons = {
  'address-malformed': { status: 400, text: 'is not an address of the form host:port' },
  'not-allowed': { status: 403, text: 'is not in `egress` of this server' },
  'own-port': { status: 403, text: 'belongs to the platform itself' },
  'name-unknown': { status: 502, text: 'cannot be resolved' },
  'address-forbidden': {
    status: 403,
    text: 'leads to an address that this server may not reach; `private: true` lets it reach inner ones',
  },
  unreachable: { status: 502, text: 'does not answer' },
  untrusted: { status: 502, text: 'has no certificate that can be trusted' },
  capacity: { status: 503, text: 'has to wait: this server has too many connections open' },
  unrecorded: { status: 503, text: 'is not connected to, because the audit cannot be written' },
  'not-tls': { status: 403, text: 'is reached by TLS or by plain HTTP through the proxy, and by nothing else' },
  'other-host': { status: 421, text: 'was named when connecting, and another host afterwards' },
  'too-many-bytes': { status: 403, text: 'was sent or has sent more than `maximumMb` allows' },
  idle: { status: 504, text: 'was silent for too long' },
  upgrade: { status: 501, text: 'has a secret of this server, so its connections carry requests and nothing else' },
  'secret-unknown': { status: 403, text: 'was sent a placeholder that is not one of this server' },
  'secret-elsewhere': { status: 403, text: 'is not a host that this secret may go to' },
  'secret-misplaced': { status: 403, text: 'was sent a placeholder in another place than the header of that secret' },
  'secret-in-clear': { status: 403, text: 'was sent a placeholder without TLS' },
  'secret-unavailable': { status: 503, text: 'needs a secret that cannot be read' },
  'answer-encoded': { status: 502, text: 'answers in an encoding that was not asked for, so it cannot be looked at for secrets' },
  revoked: { status: 403, text: 'is not in `egress` of this server any more' },
} as const satisfies Record<string, { status: number; text: string }>;

export type RefusalReason = keyof typeof refusalReasons;

/** Thrown where a connection or a request must not go on. */
export class Refusal extends Error {
  readonly reason: RefusalReason;
  constructor(reason: RefusalReason, options: { cause?: unknown } = {}) {
    super(reason, options);
    this.reason = reason;
  }
}

export const reasonOf = (error: unknown): RefusalReason => (error instanceof Refusal ? error.reason : 'unreachable');

/** One line for the server and whoever reads its log. `place` is what it asked for, cut to what is fit to print. */
export const describeRefusal = (reason: RefusalReason, place: string): string =>
  `Quarterdeck egress: ${place.replace(/[^\x21-\x7e]/g, '?').slice(0, 300)} ${refusalReasons[reason].text} (${reason}).\n`;
