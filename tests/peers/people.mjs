// A user with a browser: signs in and approves, by the forms as they stand on the pages.

const decode = (text) =>
  text.replace(/&#38;|&amp;/g, '&').replace(/&#60;|&lt;/g, '<').replace(/&#62;|&gt;/g, '>').replace(/&#34;|&quot;/g, '"').replace(/&#39;/g, "'");

/** Follows an authorization URL to its end; the URL that the client is sent back to. */
export async function approve(url, username, password) {
  const cookies = new Map();
  const visit = async (target, form) => {
    const answer = await fetch(target, {
      method: form ? 'POST' : 'GET',
      body: form,
      redirect: 'manual',
      headers: {
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form ? { origin: new URL(url).origin } : {}),
      },
    });
    for (const field of answer.headers.getSetCookie()) {
      const [name, value] = field.split(';')[0].split('=');
      cookies.set(name, value);
    }
    return answer;
  };
  const press = async (answer, action, typed = {}) => {
    const page = await answer.text();
    const target = new URL(decode(page.match(/<form method="post" action="([^"]*)"/)[1]), url);
    const token = page.match(/name="token" value="([^"]*)"/)[1];
    return visit(target, new URLSearchParams({ token, action, ...typed }));
  };
  const signedIn = await press(await visit(url), 'login', { username, password });
  if (signedIn.status !== 303) throw new Error(`not signed in: ${signedIn.status}`);
  const consent = await visit(new URL(signedIn.headers.get('location'), url));
  const back = await press(consent, 'approve');
  if (back.status !== 303) throw new Error(`not approved: ${back.status}`);
  return new URL(back.headers.get('location'));
}
