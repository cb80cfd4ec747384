type Cookie = { host: string; path: string; name: string; value: string };

/** A page as the browser ended up at it. */
export type Page = { url: string; status: number; headers: Headers; html: string };

const matches = (cookie: Cookie, { hostname, pathname }: URL): boolean =>
  cookie.host === hostname &&
  (cookie.path === '/' || pathname === cookie.path || pathname.startsWith(cookie.path.endsWith('/') ? cookie.path : `${cookie.path}/`));

/**
 * A browser without a screen: cookies by host and path (not by port, as browsers have it), redirects one at a time.
 * `open` follows redirects until a page, or until `until` says that an address is the end: that one is not called.
 * @param always - headers of each request, such as a proxy's in front of it
 */
export const createBrowser = (always: Record<string, string> = {}) => {
  let jar: Cookie[] = [];

  const keep = (url: URL, headers: Headers): void => {
    for (const line of headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(/;\s*/);
      const name = pair.slice(0, pair.indexOf('='));
      const value = pair.slice(pair.indexOf('=') + 1);
      const path = attributes.find((each) => /^path=/i.test(each))?.slice(5) ?? '/';
      jar = jar.filter((cookie) => !(cookie.host === url.hostname && cookie.path === path && cookie.name === name));
      const expires = attributes.find((each) => /^expires=/i.test(each))?.slice(8);
      if (value !== '' && !(expires && Date.parse(expires) < Date.now())) jar.push({ host: url.hostname, path, name, value });
    }
  };

  const request = async (address: string, init: { method?: string; body?: URLSearchParams; headers?: Record<string, string> } = {}) => {
    const url = new URL(address);
    const cookie = jar
      .filter((each) => matches(each, url))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
    const response = await fetch(url, {
      ...init,
      redirect: 'manual',
      headers: { accept: 'text/html', ...always, ...(cookie ? { cookie } : {}), ...init.headers },
    });
    keep(url, response.headers);
    return response;
  };

  const follow = async (first: Response, from: string, until: (url: string) => boolean): Promise<Page> => {
    let response = first;
    let url = from;
    for (let hops = 0; hops < 20; hops += 1) {
      const location = response.headers.get('location');
      if (location === null || response.status < 300 || response.status > 399)
        return { url, status: response.status, headers: response.headers, html: await response.text() };
      url = new URL(location, url).href;
      await response.body?.cancel();
      if (until(url)) return { url, status: response.status, headers: response.headers, html: '' };
      response = await request(url);
    }
    throw new Error(`too many redirects, the last one to ${url}`);
  };

  const never = () => false;
  return {
    cookies: () => jar,
    request,
    open: async (url: string, until: (url: string) => boolean = never): Promise<Page> => follow(await request(url), url, until),
    /** Sends the form of a page, with its hidden fields, as a browser does. */
    submit: async (page: Page, fields: Record<string, string>, until: (url: string) => boolean = never): Promise<Page> => {
      const action = /<form[^>]*action="([^"]*)"/.exec(page.html)?.[1] ?? page.url;
      const hidden = [...page.html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)].map(
        ([, name = '', value = '']): [string, string] => [name, value],
      );
      const body = new URLSearchParams([...hidden, ...Object.entries(fields)]);
      const url = new URL(action, page.url).href;
      return follow(await request(url, { method: 'POST', body, headers: { origin: new URL(page.url).origin } }), url, until);
    },
  };
};
export type Browser = ReturnType<typeof createBrowser>;
