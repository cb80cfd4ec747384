import { createHash } from 'node:crypto';

const style =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;color:#1d2733}' +
  'a.button,button{display:inline-block;font:inherit;padding:.5rem 1rem;margin:.25rem .5rem .25rem 0;border:1px solid #345;border-radius:6px;background:#fff;color:#123;text-decoration:none;cursor:pointer}' +
  'button.yes{background:#12507b;color:#fff}code{overflow-wrap:anywhere}.warning{border-left:4px solid #c60;padding-left:.75rem}';

const styleHash = `'sha256-${createHash('sha256').update(style).digest('base64')}'`;

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
/** Text as text: what clients and people are called is theirs to choose. Characters that turn or hide text are shown as a box. */
export const escapeHtml = (text: string): string =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, '\u25a1')
    .replaceAll(/[&<>"']/g, (character) => escapes[character] ?? character);

/**
 * Headers of each page: no script, no frame, nothing from elsewhere, nothing kept.
 * @param formTargets - where a form may end up beside here: browsers follow its redirects by this list too
 */
export const pageHeaders = (formTargets: readonly string[] = []): Record<string, string> => ({
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src ${styleHash}; base-uri 'none'; frame-ancestors 'none'; form-action ${["'self'", ...formTargets].join(' ')}`,
  'x-frame-options': 'DENY',
  // with `no-referrer` a browser sends the form with `Origin: null`, which is no page's of ours
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
});

/** @param body - HTML, already escaped */
export const page = (title: string, body: string, head = ''): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title><style>${style}</style>${head}</head><body><h1>${escapeHtml(title)}</h1>${body}</body></html>`;

export const messagePage = (title: string, message: string): string => page(title, `<p>${escapeHtml(message)}</p>`);

export const choosePage = (choices: readonly { title: string; href: string }[]): string =>
  page(
    'Log in to Quarterdeck',
    `<p>Where do you log in?</p>${choices.map(({ title, href }) => `<a class="button" href="${escapeHtml(href)}">${escapeHtml(title)}</a>`).join('')}`,
  );

/** @param form - the library's own, with its hidden fields */
export const logoutPage = (form: string): string =>
  page(
    'Log out of Quarterdeck?',
    `<p>All clients that act for you by this login stop.</p>${form}` +
      '<button class="yes" form="op.logoutForm" name="logout" value="yes">Log out</button><button form="op.logoutForm">Stay logged in</button>',
  );

/** @param form - the library's own, whose field and hidden fields it has */
export const deviceCodePage = (form: string, fault: string | undefined): string =>
  page(
    'Log in for a device',
    `${fault === undefined ? '<p>Enter the code that the device shows.</p>' : `<p class="warning">${escapeHtml(fault)}</p>`}${form}` +
      '<button class="yes" form="op.deviceInputForm">Go on</button>',
  );

/** @param form - the library's own, with its hidden fields */
export const deviceConfirmPage = (form: string, clientName: string, userCode: string): string =>
  page(
    'Is this code on your device?',
    `<p><b>${escapeHtml(clientName)}</b> shows <code>${escapeHtml(userCode)}</code></p>` +
      '<p class="warning">Go on only if you have just started it yourself and read the code there. Whoever sent you a code wants to be you.</p>' +
      `${form}<button class="yes" form="op.deviceConfirmForm">It is mine</button>` +
      '<button form="op.deviceConfirmForm" name="abort" value="yes">It is not</button>',
  );

export type ConsentFacts = {
  clientName: string;
  clientId: string;
  person: string;
  /** Where the answer goes; undefined for a device, which asks for it by itself. */
  redirectUri: string | undefined;
  /** What it asks for, one line each. */
  wants: readonly string[];
  /** Whether anybody on this machine could stand behind the client. */
  isLocal: boolean;
  /** Whether the client says itself who it is. */
  isSelfDeclared: boolean;
  action: string;
  token: string;
};

/** Asks a person whether a client may act for them: names who asks, for what, and where the answer goes (RFC 6749 §10.2, RFC 8252 §8.6). */
export const consentPage = (facts: ConsentFacts): string => {
  const { clientName, clientId, person, redirectUri, wants, isLocal, isSelfDeclared, action, token } = facts;
  const warnings = [
    isSelfDeclared ? `The name is the client’s own; it is known by <code>${escapeHtml(clientId)}</code>.` : '',
    isLocal ? 'The answer goes to a program on this machine. Go on only if you have just started it yourself.' : '',
  ].filter(Boolean);
  return page(
    `Let ${clientName} act for you?`,
    `<p>You are <b>${escapeHtml(person)}</b>. <b>${escapeHtml(clientName)}</b> asks for:</p>` +
      `<ul>${wants.map((want) => `<li>${escapeHtml(want)}</li>`).join('')}</ul>` +
      `<p>The answer goes to ${redirectUri === undefined ? 'the device whose code you entered' : `<code>${escapeHtml(redirectUri)}</code>`}</p>` +
      warnings.map((warning) => `<p class="warning">${warning}</p>`).join('') +
      `<form method="post" action="${escapeHtml(action)}"><input type="hidden" name="token" value="${escapeHtml(token)}">` +
      '<button class="yes" name="answer" value="allow">Allow</button><button name="answer" value="deny">Deny</button></form>',
  );
};
