import { createHash } from 'node:crypto';

const style =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem}label{display:block;margin:.75rem 0}input{font:inherit;width:100%;padding:.4rem;box-sizing:border-box}button{font:inherit;padding:.5rem 1rem}.wrong{color:#a00}';
const styleHash = `'sha256-${createHash('sha256').update(style).digest('base64')}'`;

/** No script, no frame. Where the answer of the form leads after us is the relying party's affair, so `form-action` is left open. */
export const loginHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'content-security-policy': `default-src 'none'; style-src ${styleHash}; base-uri 'none'; frame-ancestors 'none'`,
  'x-frame-options': 'DENY',
  // with `no-referrer` a browser sends the form with `Origin: null`, which is no page's of ours
  'referrer-policy': 'same-origin',
};

/** @param uid - of the interaction: letters, digits, `-` and `_` alone */
export const loginPage = (uid: string, isWrong: boolean): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Log in on this machine</title><style>${style}</style></head><body>` +
  '<h1>Log in on this machine</h1><p>For development. The password of <code>admin</code> is <code>adminToken</code> of the ready file in the data folder, that of <code>reviewer</code> its <code>reviewerToken</code>.</p>' +
  (isWrong ? '<p class="wrong">That is nobody here, or the wrong password.</p>' : '') +
  `<form method="post" action="/interaction/${uid}"><label>Person <input name="person" autocomplete="username" autofocus></label>` +
  '<label>Password <input name="password" type="password" autocomplete="current-password"></label><button>Log in</button></form></body></html>';
