import type { IncomingHttpHeaders } from 'node:http';
import { type Challenge, readChallenge } from '../../schema/token-challenge.ts';
import type { HttpFlight, HttpReader, HttpRequest, HttpSender } from '../upstream/http-sender.ts';
import { type Credential, type CredentialSource, tokenIn } from './credential-source.ts';

/** A request is sent at most so often, whatever the server wants of its credential. */
const mostTries = 3;
const longestNonce = 1024;

/** How a token was shown: with a proof, which may name a nonce of the server, or as whoever has it shows it. */
type Sent = { withProof: boolean; nonce: string | undefined };
const plain: Sent = { withProof: false, nonce: undefined };

/** A request that waits for its credential, or is on its way with one. */
class AuthorizedFlight implements HttpFlight {
  readonly #origin: string;
  readonly #sender: HttpSender;
  readonly #source: CredentialSource;
  readonly #request: HttpRequest;
  readonly #reader: HttpReader;
  #flight: HttpFlight | undefined;
  #tries = 0;
  /** Whether it was sent once more already with the nonce that the server wants, or by the other scheme. */
  #isNonceTried = false;
  #isSchemeTried = false;
  #isOver = false;

  constructor(origin: string, sender: HttpSender, source: CredentialSource, request: HttpRequest, reader: HttpReader) {
    this.#origin = origin;
    this.#sender = sender;
    this.#source = source;
    this.#request = request;
    this.#reader = reader;
    const known = source.current();
    if (known) this.#begin(known);
    else this.#beginWith(source.fresh());
  }

  pause(): void {
    this.#flight?.pause();
  }

  resume(): void {
    this.#flight?.resume();
  }

  abort(): void {
    this.#isOver = true;
    this.#flight?.abort();
  }

  #beginWith(credential: Promise<Credential>): void {
    credential.then(
      (given) => {
        if (!this.#isOver) this.#begin(given);
      },
      (error: Error) => this.#fail(error),
    );
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#reader.onError(error);
  }

  #begin(credential: Credential): void {
    this.#tries += 1;
    this.#sendWith(credential);
  }

  #sendWith(credential: Credential): void {
    const { header, value, sign } = credential;
    const { nonce, takesProofs } = this.#source.door;
    if (sign === undefined || !takesProofs) {
      this.#send(credential, [header, sign === undefined ? value : `Bearer ${tokenIn(value)}`], plain);
      return;
    }
    const { method, path, body } = this.#request;
    sign({ method, url: `${this.#origin}${path}`, body, nonce }).then(
      (proof) => {
        if (!this.#isOver) this.#send(credential, [header, value, 'dpop', proof], { withProof: true, nonce });
      },
      (error: Error) => this.#fail(error),
    );
  }

  #send(credential: Credential, headers: string[], sent: Sent): void {
    const reader = this.#reader;
    this.#flight = this.#sender.send(
      { ...this.#request, headers: [...this.#request.headers, ...headers] },
      {
        onSent: () => reader.onSent(),
        onStart: (status, answered) => this.#start(credential, sent, status, answered),
        onData: (chunk) => reader.onData(chunk),
        onEnd: () => {
          if (this.#isOver) return;
          this.#isOver = true;
          reader.onEnd();
        },
        onError: (error) => this.#fail(error),
      },
    );
  }

  #start(credential: Credential, sent: Sent, status: number, headers: IncomingHttpHeaders): void {
    const { door } = this.#source;
    const given = headers['dpop-nonce'];
    if (credential.sign && typeof given === 'string' && given.length <= longestNonce) door.nonce = given;
    const challenge = readChallenge(status, headers['www-authenticate']);
    if (challenge) this.#challenged(credential, challenge, sent);
    else {
      this.#source.answered(status);
      this.#reader.onStart(status, headers);
    }
  }

  #challenged(credential: Credential, challenge: Challenge, sent: Sent): void {
    this.#flight?.abort();
    if (credential.sign && this.#asksForOther(challenge, sent)) this.#sendWith(credential);
    else if (this.#tries >= mostTries || challenge.isNonceMissing) this.#fail(this.#source.giveUp(challenge));
    else this.#beginWith(this.#source.renew(credential, challenge));
  }

  /** Whether the token is good, and was only shown in another way than the server wants: once each, with its nonce and by its scheme. */
  #asksForOther({ isNonceMissing, isScopeMissing, schemes }: Challenge, sent: Sent): boolean {
    const { door } = this.#source;
    if (isNonceMissing) {
      const isNew = !this.#isNonceTried && door.nonce !== undefined && door.nonce !== sent.nonce;
      this.#isNonceTried = true;
      return isNew;
    }
    const takesProofs = schemes.includes('dpop');
    if (isScopeMissing || this.#isSchemeTried || takesProofs === sent.withProof) return false;
    this.#isSchemeTried = true;
    door.takesProofs = takesProofs;
    return true;
  }
}

/**
 * Puts the caller's credential on each request to a protected server, and gets another one where the server asks for it by a challenge of
 * the schemes Bearer or DPoP: then the request stopped at the door, so it may be made again, three times in all. A credential that is bound
 * to a key goes with a proof made for that request.
 * @param options.origin - of the server, as proofs name it
 */
export const createAuthorizedSender = (sender: HttpSender, source: CredentialSource, { origin }: { origin: string }): HttpSender => ({
  heardAt: Number.NEGATIVE_INFINITY,
  send: (request, reader) => new AuthorizedFlight(origin, sender, source, request, reader),
  close: () => sender.close(),
});
