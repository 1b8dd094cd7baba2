// A user with a browser: signs in and decides, by the forms as they stand on the pages.

const decode = (text) =>
  text.replace(/&#38;|&amp;/g, '&').replace(/&#60;|&lt;/g, '<').replace(/&#62;|&gt;/g, '>').replace(/&#34;|&quot;/g, '"').replace(/&#39;/g, "'");

class Browser {
  #cookies = new Map();
  #url;

  constructor(url) {
    this.#url = url;
  }

  async visit(target, form) {
    const answer = await fetch(target, {
      method: form ? 'POST' : 'GET',
      body: form,
      redirect: 'manual',
      headers: {
        cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form ? { origin: new URL(this.#url).origin } : {}),
      },
    });
    for (const field of answer.headers.getSetCookie()) {
      const [name, value] = field.split(';')[0].split('=');
      this.#cookies.set(name, value);
    }
    return answer;
  }

  /** Fills in the form of a page, with what it holds already, and presses one of its buttons. */
  async press(answer, action, typed = {}) {
    const page = await answer.text();
    const target = new URL(decode(page.match(/<form method="post" action="([^"]*)"/)[1]), this.#url);
    const fields = new URLSearchParams();
    for (const [input] of page.matchAll(/<input [^>]*>/g)) {
      const value = input.match(/ value="([^"]*)"/)?.[1] ?? '';
      fields.set(input.match(/ name="([^"]*)"/)[1], decode(value));
    }
    for (const [name, value] of Object.entries({ ...typed, action })) fields.set(name, value);
    return this.visit(target, fields);
  }

  /** Signs in on the page of the URL; the page behind it. */
  async signIn(username, password) {
    const signedIn = await this.press(await this.visit(this.#url), 'login', { username, password });
    if (signedIn.status !== 303) throw new Error(`not signed in: ${signedIn.status}`);
    return this.visit(new URL(signedIn.headers.get('location'), this.#url));
  }
}

/** Follows an authorization URL to its end; the URL that the client is sent back to. */
export async function approve(url, username, password) {
  const browser = new Browser(url);
  const back = await browser.press(await browser.signIn(username, password), 'approve');
  if (back.status !== 303) throw new Error(`not approved: ${back.status}`);
  return new URL(back.headers.get('location'));
}

/** Lets a device in, by the URL that it shows. */
export async function approveDevice(url, username, password) {
  const browser = new Browser(url);
  const asked = await browser.press(await browser.signIn(username, password), 'lookup');
  const done = await browser.press(asked, 'approve');
  if (done.status !== 200) throw new Error(`not approved: ${done.status}`);
}
