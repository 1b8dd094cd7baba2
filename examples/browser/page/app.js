// A browser page as an OAuth client with DPoP (RFC 9449): a key that cannot be exported, PKCE, pushed authorization
// requests where the server has them, nonces of both servers. No library; everything is in this file.

const settings = await (await fetch("settings.json")).json();
const redirectUri = location.origin + location.pathname;
const apiUrl = settings.api.replace(/\/$/, "") + settings.path;

// ---- Bytes and text

const utf8 = new TextEncoder();
const random = (bytes) => base64url(crypto.getRandomValues(new Uint8Array(bytes)));
const sha256 = async (text) => base64url(await crypto.subtle.digest("SHA-256", utf8.encode(text)));

function base64url(bytes) {
  const binary = String.fromCharCode(...new Uint8Array(bytes));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// ---- The key: made once, kept by the browser, usable and not readable

const generateKey = () => crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);

function database() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("countersign", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function withKeys(mode, work) {
  const opened = await database();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = opened.transaction("keys", mode);
      const request = work(transaction.objectStore("keys"));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  } finally {
    opened.close();
  }
}

/** The key of this browser profile. Two tabs that both find none agree on the one that is stored first. */
async function loadKey() {
  const stored = await withKeys("readonly", (keys) => keys.get("dpop"));
  if (stored) return stored;
  const made = { pair: await generateKey(), made: new Date() };
  await withKeys("readwrite", (keys) => keys.add(made, "dpop")).catch(() => undefined);
  return withKeys("readonly", (keys) => keys.get("dpop"));
}

const forgetKey = () => withKeys("readwrite", (keys) => keys.delete("dpop"));

/** What a proof shows of a key. The order of the members is the one that the thumbprint is over (RFC 7638). */
async function publicJwk(pair) {
  const { crv, kty, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  return { crv, kty, x, y };
}

const thumbprint = async (pair) => sha256(JSON.stringify(await publicJwk(pair)));

// ---- Proofs and the requests that carry them

/** The newest nonce of each origin. In memory: the next one is one request away. */
const nonces = new Map();

async function makeProof(pair, method, url, token, nonce) {
  const { origin, pathname } = new URL(url);
  const claims = { jti: random(16), htm: method, htu: origin + pathname, iat: Math.floor(Date.now() / 1000) };
  if (nonce) claims.nonce = nonce;
  if (token) claims.ath = await sha256(token);
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: await publicJwk(pair) };
  const text = [header, claims].map((part) => base64url(utf8.encode(JSON.stringify(part)))).join(".");
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, utf8.encode(text));
  return `${text}.${base64url(signature)}`;
}

/** Sends a request with a proof; once more, with a new one, when the server asks for a nonce. */
async function send(pair, url, { method = "GET", token, body } = {}) {
  const { origin } = new URL(url);
  for (let attempt = 1; ; attempt += 1) {
    const nonce = nonces.get(origin);
    const headers = { DPoP: await makeProof(pair, method, url, token, nonce) };
    if (token) headers.Authorization = `DPoP ${token}`;
    // A redirect would need another proof; none is expected.
    const response = await fetch(url, { method, headers, body, redirect: "error", cache: "no-store", credentials: "omit" });
    const given = response.headers.get("DPoP-Nonce");
    if (given) nonces.set(origin, given);
    const error = await errorOf(response);
    note(method, url, nonce ? "with a nonce" : "without a nonce", response.status, error);
    const again = error === "use_dpop_nonce" && attempt === 1 && given && given !== nonce;
    if (!again) return { response, error };
  }
}

/** The OAuth error code: of the challenge at an API (RFC 6750), of the body at the authorization server (RFC 6749). */
async function errorOf(response) {
  if (response.ok) return undefined;
  const challenge = response.headers.get("WWW-Authenticate") ?? "";
  const [, code] = /\berror="([^"]*)"/.exec(challenge) ?? [];
  if (code) return code;
  const body = await response.clone().json().catch(() => ({}));
  return typeof body.error === "string" ? body.error : undefined;
}

const form = (fields) => new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== undefined));

// ---- Whom to ask: the API says it (RFC 9728), the issuer says where (RFC 8414)

/** The well-known place of `name` for `url`: before its path. */
function wellKnown(url, name) {
  const { origin, pathname } = new URL(url);
  return `${origin}/.well-known/${name}${pathname === "/" ? "" : pathname}`;
}

async function fetchMetadata(url) {
  const response = await fetch(url, { redirect: "error", credentials: "omit" });
  note("GET", url, "", response.status);
  return response.ok ? response.json() : undefined;
}

async function discover() {
  const resource = await fetchMetadata(wellKnown(settings.api, "oauth-protected-resource"));
  if (!resource) throw new Error("the API does not say who issues its tokens");
  const issuer = resource.authorization_servers[0];
  const server =
    (await fetchMetadata(wellKnown(issuer, "oauth-authorization-server"))) ??
    (await fetchMetadata(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`));
  if (server?.issuer !== issuer) throw new Error("the issuer's metadata is another one's");
  if (!server.code_challenge_methods_supported?.includes("S256")) throw new Error("the issuer has no PKCE");
  if (!server.dpop_signing_alg_values_supported?.includes("ES256")) throw new Error("the issuer cannot bind tokens");
  return { resource: resource.resource, server };
}

// ---- Signing in, and the token. It lives in this tab only: in sessionStorage, so that a reload keeps it

const session = {
  get: (name) => JSON.parse(sessionStorage.getItem(name) ?? "null"),
  set: (name, value) => sessionStorage.setItem(name, JSON.stringify(value)),
  take(name) {
    const value = this.get(name);
    sessionStorage.removeItem(name);
    return value;
  },
};

async function signIn(pair, { resource, server }) {
  const pending = { state: random(16), verifier: random(32), issuer: server.issuer };
  const request = {
    response_type: "code",
    client_id: settings.client_id,
    redirect_uri: redirectUri,
    scope: settings.scope,
    resource,
    state: pending.state,
    code_challenge: await sha256(pending.verifier),
    code_challenge_method: "S256",
    // Whoever intercepts the code cannot use it without the key (RFC 9449 §10).
    dpop_jkt: await thumbprint(pair),
  };
  const query = server.pushed_authorization_request_endpoint ? await push(pair, server, request) : request;
  session.set("pending", pending);
  const target = new URL(server.authorization_endpoint);
  for (const [name, value] of form(query)) target.searchParams.set(name, value);
  location.assign(target);
}

/** Leaves the request with the server (RFC 9126) and gives what stands for it. */
async function push(pair, server, request) {
  const url = server.pushed_authorization_request_endpoint;
  const { response, error } = await send(pair, url, { method: "POST", body: form(request) });
  if (!response.ok) throw new Error(`the issuer refuses the request: ${error ?? response.status}`);
  const { request_uri } = await response.json();
  return { client_id: settings.client_id, request_uri };
}

/** Redeems the code that the issuer sent the browser back with, if it did. */
async function redeem(pair, { resource, server }) {
  const answer = new URLSearchParams(location.search);
  if (!answer.has("state")) return;
  // Neither history nor a reload is to have it again.
  history.replaceState(null, "", redirectUri);
  const pending = session.take("pending");
  if (!pending || answer.get("state") !== pending.state) throw new Error("this is no answer to a request of this tab");
  // Servers that name themselves in their answers say so (RFC 9207); one that does not is taken by the tab's word.
  const named = answer.get("iss") ?? (server.authorization_response_iss_parameter_supported ? "nobody" : pending.issuer);
  if (named !== pending.issuer || pending.issuer !== server.issuer) throw new Error("the answer is of another issuer");
  if (answer.has("error")) throw new Error(`not signed in: ${answer.get("error")}`);
  await ask(pair, server, {
    grant_type: "authorization_code",
    code: answer.get("code"),
    redirect_uri: redirectUri,
    code_verifier: pending.verifier,
    resource,
  });
}

async function ask(pair, server, grant) {
  const body = form({ ...grant, client_id: settings.client_id });
  const { response, error } = await send(pair, server.token_endpoint, { method: "POST", body });
  if (!response.ok) throw new Error(`no token: ${error ?? response.status}`);
  const token = await response.json();
  if (token.token_type?.toLowerCase() !== "dpop") throw new Error("the issuer did not bind the token");
  const refresh = token.refresh_token ?? grant.refresh_token;
  const [ends, jkt] = [Date.now() + (token.expires_in ?? 60) * 1000, await thumbprint(pair)];
  session.set("token", { access: token.access_token, refresh, ends, jkt });
}

/** The token, renewed when it is about to end. */
async function freshToken(pair, { resource, server }) {
  const token = session.get("token");
  if (!token || token.ends - Date.now() > 5000) return token?.access;
  if (!token.refresh) return session.take("token") && undefined;
  await ask(pair, server, { grant_type: "refresh_token", refresh_token: token.refresh, resource });
  return session.get("token").access;
}

// ---- The page

const element = (id) => document.getElementById(id);

function say(id, text, mood = "") {
  element(id).textContent = text;
  element(id).className = `note ${mood}`;
}

/** A line of the log: what was sent and what came back, nothing secret. */
function note(method, url, proof, status, error) {
  const { origin, pathname } = new URL(url);
  const row = element("log").insertRow(0);
  for (const text of [`${method} ${origin}${pathname}`, proof, error ? `${status} ${error}` : `${status}`]) {
    row.insertCell().textContent = text;
  }
  row.lastChild.className = error && error !== "use_dpop_nonce" ? "bad" : "";
  element("log").querySelector(".empty")?.remove();
}

function showToken(jkt) {
  const token = session.get("token");
  const until = token && new Date(token.ends).toLocaleTimeString();
  const whose = token?.jkt === jkt ? "this key" : "another key";
  element("state").textContent = token ? `bound to ${whose}, good until ${until}` : "none";
  element("sign-in").hidden = Boolean(token);
  element("sign-out").hidden = !token;
  element("call").disabled = element("steal").disabled = !token;
}

/** Runs `work` when the button is clicked, one click at a time; what goes wrong is said at `place`. */
function onClick(id, place, jkt, work) {
  element(id).addEventListener("click", async () => {
    element(id).disabled = true;
    try {
      await work();
    } catch (fault) {
      say(place, fault.message, "bad");
    }
    element(id).disabled = false;
    showToken(jkt);
  });
}

async function call(pair, found) {
  const token = await freshToken(pair, found);
  if (!token) return say("call-result", "The token is over. Sign in again.", "bad");
  const { response, error } = await send(pair, apiUrl, { token });
  const [said, mood] = response.ok ? ["the API answers.", "good"] : [error ?? "refused.", "bad"];
  say("call-result", `${response.status}: ${said}`, mood);
  element("answer").textContent = readable(await response.text());
  element("answer").hidden = false;
}

function readable(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text.slice(0, 4096);
  }
}

/** What a thief can do who copied the token: sign with a key of his own, because he has no other. */
async function steal() {
  const token = session.get("token")?.access;
  const { response, error } = await send(await generateKey(), apiUrl, { token });
  const [said, mood] = response.ok ? ["the API took it!", "bad"] : [`${error}. The same token, another key.`, "good"];
  say("call-result", `${response.status}: ${said}`, mood);
  element("answer").hidden = true;
}

async function main() {
  const { pair, made } = await loadKey();
  const jkt = await thumbprint(pair);
  element("jkt").textContent = jkt;
  element("made").textContent = made.toLocaleString();
  element("extractable").textContent = pair.privateKey.extractable ? "yes" : "no";
  onClick("export", "export-result", jkt, async () => {
    await crypto.subtle.exportKey("jwk", pair.privateKey).then(
      () => say("export-result", "The browser gave it away!", "bad"),
      (fault) => say("export-result", `The browser refuses: ${fault.name}.`, "good"),
    );
  });
  onClick("forget", "export-result", jkt, async () => {
    await forgetKey();
    session.take("token");
    location.reload();
  });
  onClick("sign-out", "sign-in-result", jkt, () => session.take("token"));
  showToken(jkt);

  const found = await discover();
  element("issuer").textContent = found.server.issuer;
  element("resource").textContent = found.resource;
  onClick("sign-in", "sign-in-result", jkt, () => signIn(pair, found));
  onClick("call", "call-result", jkt, () => call(pair, found));
  onClick("steal", "call-result", jkt, steal);
  await redeem(pair, found);
  showToken(jkt);
}

await main().catch((fault) => say("sign-in-result", fault.message, "bad"));
document.documentElement.dataset.ready = "true";
