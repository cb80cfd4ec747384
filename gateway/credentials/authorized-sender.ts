import type { IncomingHttpHeaders } from 'node:http';
import { type Challenge, readChallenge } from '../../schema/bearer-challenge.ts';
import type { HttpFlight, HttpReader, HttpRequest, HttpSender } from '../upstream/send-http.ts';
import type { Credential, CredentialSource } from './credential-source.ts';

/** A request is sent at most so often, whatever the server wants of its credential. */
const mostTries = 3;

/** A request that waits for its credential, or is on its way with one. */
class AuthorizedFlight implements HttpFlight {
  readonly #sender: HttpSender;
  readonly #source: CredentialSource;
  readonly #request: HttpRequest;
  readonly #reader: HttpReader;
  #flight: HttpFlight | undefined;
  #tries = 0;
  #isOver = false;

  constructor(sender: HttpSender, source: CredentialSource, request: HttpRequest, reader: HttpReader) {
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
    const reader = this.#reader;
    this.#tries += 1;
    this.#flight = this.#sender.send(
      { ...this.#request, headers: [...this.#request.headers, credential.header, credential.value] },
      {
        onSent: () => reader.onSent(),
        onStart: (status, headers) => this.#start(credential, status, headers),
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

  #start(credential: Credential, status: number, headers: IncomingHttpHeaders): void {
    const challenge = readChallenge(status, headers['www-authenticate']);
    if (challenge) this.#challenged(credential, challenge);
    else this.#reader.onStart(status, headers);
  }

  #challenged(credential: Credential, challenge: Challenge): void {
    this.#flight?.abort();
    if (this.#tries >= mostTries) this.#fail(this.#source.giveUp(challenge));
    else this.#beginWith(this.#source.renew(credential, challenge));
  }
}

/**
 * Puts the caller's credential on each request to a protected server, and gets another one where the server asks for it by a challenge of
 * the scheme Bearer: then the request stopped at the door, so it may be made again, three times in all.
 */
export const createAuthorizedSender = (sender: HttpSender, source: CredentialSource): HttpSender => ({
  heardAt: Number.NEGATIVE_INFINITY,
  send: (request, reader) => new AuthorizedFlight(sender, source, request, reader),
  close: () => sender.close(),
});
