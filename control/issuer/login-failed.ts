/** A login that did not come about. `detail` is for the log: what a foreign issuer says is not shown to people (RFC 9207 §2.4). */
export class LoginFailed extends Error {
  readonly detail: string;
  constructor(message: string, detail: unknown) {
    super(message);
    this.detail = detail instanceof Error ? `${detail.name}: ${detail.message}` : String(detail);
  }
}
