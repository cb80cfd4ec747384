import { escapeHtml, page } from './pages.ts';

export type GrantFacts = {
  server: string;
  serverUrl: string;
  /** Who will ask the person next. */
  issuer: string;
  person: string;
  scopes: readonly string[];
  /** Where the person granted before; undefined: nowhere. */
  earlierIssuer: string | undefined;
  action: string;
  token: string;
};

/** Asks a person, before they are sent anywhere, whether we may act for them at a server (MCP, confused deputy). */
export const grantPage = ({ server, serverUrl, issuer, person, scopes, earlierIssuer, action, token }: GrantFacts): string =>
  page(
    `Connect ${server}?`,
    `<p>You are <b>${escapeHtml(person)}</b>. Quarterdeck, and the agents that run for you, would act for you at <b>${escapeHtml(server)}</b> (<code>${escapeHtml(serverUrl)}</code>), as far as the policies here allow, and look there at what it offers.</p>` +
      (scopes.length > 0
        ? `<p>It asks for:</p><ul>${scopes.map((scope) => `<li><code>${escapeHtml(scope)}</code></li>`).join('')}</ul>`
        : '') +
      `<p>You will be sent to <code>${escapeHtml(issuer)}</code>, which asks you again. Go on only if you know it.</p>` +
      (earlierIssuer === undefined
        ? ''
        : earlierIssuer === issuer
          ? '<p class="warning">You have connected this server before; the new grant takes the place of that one.</p>'
          : `<p class="warning"><b>This server has changed its issuer.</b> Before, you granted at <code>${escapeHtml(earlierIssuer)}</code>. Go on only if you know that this is meant.</p>`) +
      '<p>You can take it back at any time: <code>quarterdeck grants revoke</code>.</p>' +
      `<form method="post" action="${escapeHtml(action)}"><input type="hidden" name="token" value="${escapeHtml(token)}">` +
      '<button class="yes" name="answer" value="allow">Go on</button><button name="answer" value="deny">Do not connect</button></form>',
  );

/** Sends the person to the issuer. */
export const departurePage = (place: string, url: string): string =>
  page(
    'One moment',
    `<p>You are being sent to <code>${escapeHtml(place)}</code>.</p><p><a class="button" href="${escapeHtml(url)}">Go there</a></p>`,
    `<meta http-equiv="refresh" content="0;url=${escapeHtml(url)}">`,
  );
