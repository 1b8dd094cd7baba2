// Drives the page of examples/browser: key, sign-in, call, reload, and a thief with a copied token in another profile.
// Usage: node page.mjs CHROMIUM PAGE ISSUER API USER PASSWORD [directory for screenshots]
// Serves the page at PAGE and the API behind the gateway at the address in UPSTREAM.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const [executablePath, page, issuer, api, user, password, pictures] = process.argv.slice(2);
const files = fileURLToPath(new URL("../../examples/browser/page/", import.meta.url));
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json", ".svg": "image/svg+xml" };
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];

// The example's own files, with the addresses of this run in place of those that it is written for.
const site = createServer(async (request, response) => {
  const path = new URL(request.url, page).pathname;
  const name = path === "/" ? "index.html" : path.slice(1);
  if (!/^[a-z]+\.[a-z]+$/.test(name)) return response.writeHead(404).end();
  const text = await readFile(join(files, name), "utf8").catch(() => undefined);
  if (text === undefined) return response.writeHead(404).end();
  response.setHeader("content-type", types[extname(name)]);
  response.end(text.replaceAll("http://127.0.0.1:8090", issuer).replaceAll("http://127.0.0.1:8080", api));
});
const backend = createServer((request, response) => {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ subject: request.headers["countersign-subject"], authorization: request.headers.authorization ?? null }));
});
const listen = (server, url) => new Promise((done) => server.listen(Number(new URL(url).port), "127.0.0.1", done));
await Promise.all([listen(site, page), listen(backend, process.env.UPSTREAM)]);

/** A browser profile of its own, with one tab at the page. */
async function open(viewport) {
  const directory = await mkdtemp(join(tmpdir(), "countersign-page-"));
  const context = await chromium.launchPersistentContext(directory, { executablePath, headless: true, args: flags, viewport });
  const tab = await context.newPage();
  const faults = [];
  tab.on("pageerror", (fault) => faults.push(fault.message));
  tab.on("console", (message) => message.type() === "error" && !message.text().includes("status of 40") && faults.push(message.text()));
  const close = () => context.close().then(() => rm(directory, { recursive: true, force: true }));
  await tab.goto(page);
  await ready(tab);
  return { tab, faults, close };
}

const ready = (tab) => tab.locator("html[data-ready=true]").waitFor({ state: "attached" });
const text = (tab, id) => tab.locator(`#${id}`).textContent();
const picture = (tab, name) => (pictures ? tab.screenshot({ path: join(pictures, `${name}.png`), fullPage: true }) : undefined);

async function call(tab) {
  await tab.click("#call");
  await tab.waitForFunction(() => !document.getElementById("call").disabled);
  return text(tab, "call-result");
}

const owner = await open({ width: 1280, height: 900 });
let thief;
try {
  const { tab } = owner;
  // The key cannot be exported, by the page's own button or by any script in it.
  assert.equal(await text(tab, "extractable"), "no");
  await tab.click("#export");
  await tab.locator("#export-result.good").waitFor();
  assert.match(await text(tab, "export-result"), /InvalidAccessError/);
  const jkt = await text(tab, "jkt");
  assert.match(jkt, /^[\w-]{43}$/);

  await tab.click("#sign-in");
  await tab.fill("#username", user);
  await tab.fill("#password", password);
  await picture(tab, "sign-in");
  await tab.click("#login");
  await tab.click("#approve");
  await tab.waitForURL(page);
  await ready(tab);
  assert.match(await text(tab, "state"), /^bound to this key/, await text(tab, "sign-in-result"));
  assert.equal(await tab.evaluate(() => location.search), "", "the code is not left in the address");

  assert.equal(await call(tab), "200: the API answers.");
  assert.deepEqual(JSON.parse(await text(tab, "answer")), { subject: user, authorization: null });
  const lines = await tab.locator("#log tr").allInnerTexts();
  const asked = lines.filter((line) => line.includes("use_dpop_nonce"));
  assert.ok(asked.some((line) => line.includes(`POST ${issuer}`)), `the issuer asked for a nonce: ${lines}`);
  assert.ok(asked.some((line) => line.includes(`GET ${api}`)), `the API asked for a nonce: ${lines}`);
  await tab.click("#steal");
  await tab.locator("#call-result.good", { hasText: "invalid_token" }).waitFor();
  await call(tab);
  await picture(tab, "desktop");

  // Key and token are there after a reload; the key in every tab of the profile, the token in its own.
  await tab.reload();
  await ready(tab);
  assert.equal(await text(tab, "jkt"), jkt);
  assert.equal(await call(tab), "200: the API answers.");
  const stored = await tab.evaluate(() => ({ local: localStorage.length, session: Object.keys(sessionStorage), cookies: document.cookie }));
  assert.deepEqual(stored, { local: 0, session: ["token"], cookies: "" });

  // The token in another profile: everything that a script could copy, and another key.
  const copied = await tab.evaluate(() => sessionStorage.getItem("token"));
  thief = await open({ width: 390, height: 844 });
  await thief.tab.evaluate((token) => sessionStorage.setItem("token", token), copied);
  await thief.tab.reload();
  await ready(thief.tab);
  assert.notEqual(await text(thief.tab, "jkt"), jkt);
  assert.match(await text(thief.tab, "state"), /^bound to another key/);
  assert.equal(await call(thief.tab), "401: invalid_token");
  await picture(thief.tab, "phone");
  const width = await thief.tab.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 390, `nothing is wider than a phone: ${width}`);

  assert.deepEqual([...owner.faults, ...thief.faults], [], "no script failed, nothing was kept out by the page's policy");
  console.log("page: key, sign-in, nonces, call, reload, thief");
} catch (fault) {
  const seen = await owner.tab.locator("body").innerText().catch(() => "");
  console.error(`${fault.stack}\nthe page:\n${seen}`);
  process.exitCode = 1;
} finally {
  await Promise.all([owner.close(), thief?.close()]);
  site.close();
  backend.close();
}
