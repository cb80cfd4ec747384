import type { KoaContextWithOIDC } from 'oidc-provider';
import { deviceCodePage, deviceConfirmPage, messagePage, pageHeaders } from './pages.ts';

/** Why a code is not taken, in the library's words for it. */
const faults: Readonly<Record<string, string>> = {
  NoCodeError: 'Enter the code that the device shows.',
  NotFoundError: 'There is no such code. Look at the device again.',
  ExpiredError: 'That code is over. Begin again at the device.',
  AlreadyUsedError: 'That code was used already. Begin again at the device.',
  AbortedError: 'The device was not let in.',
};

/** A code was entered that lets nobody in: what `limitCodeGuesses` counts. */
const wrongGuesses: ReadonlySet<string> = new Set(['NotFoundError', 'ExpiredError', 'AlreadyUsedError']);

const show = (context: KoaContextWithOIDC, html: string): void => {
  context.set(pageHeaders());
  context.body = html;
};

/**
 * Pages of a login at another device than the one that asks (RFC 8628): the code that it shows is entered, then who asks is shown before
 * anything else, since the code may have come from somebody who wants to be let in (§5.4).
 */
export const devicePages = {
  userCodeInputSource: (context: KoaContextWithOIDC, form: string, _out?: unknown, error?: Error) => {
    if (error && wrongGuesses.has(error.name)) context.state.isWrongGuess = true;
    show(context, deviceCodePage(form, error && (faults[error.name] ?? 'That did not work. Begin again at the device.')));
  },
  userCodeConfirmSource: (
    context: KoaContextWithOIDC,
    form: string,
    client: { clientName?: string | undefined; clientId: string },
    _device: unknown,
    userCode: string,
  ) => show(context, deviceConfirmPage(form, client.clientName ?? client.clientId, userCode)),
  successSource: (context: KoaContextWithOIDC) =>
    show(context, messagePage('You are logged in', 'Go back to the device; you can close this page.')),
};
