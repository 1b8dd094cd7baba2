// Drives the issuer's own pages by keyboard alone, at a desktop's and at a phone's width: sign-in, consent, account,
// device. Usage: node keyboard.mjs CHROMIUM ISSUER CLIENT CALLBACK USER PASSWORD [directory for screenshots]

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const [executablePath, issuer, client, callback, user, password, pictures] = process.argv.slice(2);
const flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"];

/** The app that users go back to. */
const app = createServer((_, response) => response.writeHead(200, { "content-type": "text/plain" }).end("back"));
await new Promise((done) => app.listen(Number(new URL(callback).port), "127.0.0.1", done));

function authorizeUrl() {
  const challenge = createHash("sha256").update(randomBytes(32)).digest("base64url");
  const query = { response_type: "code", client_id: client, redirect_uri: callback, scope: "read write", state: "s", code_challenge: challenge, code_challenge_method: "S256" };
  return `${issuer}/authorize?${new URLSearchParams(query)}`;
}

/** A code for a device, as its screen shows it. */
async function deviceCode() {
  const body = new URLSearchParams({ client_id: client, scope: "read" });
  const answer = await fetch(`${issuer}/device_authorization`, { method: "POST", body });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()).user_code;
}

class Keyboard {
  constructor(tab, name) {
    Object.assign(this, { tab, name, seen: 0 });
  }

  press(key) {
    return this.tab.keyboard.press(key);
  }

  /** What has the focus: its id or, without one, its text; "" when nothing has. */
  focused() {
    return this.tab.evaluate(() => {
      const at = document.activeElement;
      return !at || at === document.body || at === document.documentElement ? "" : at.id || at.textContent.trim();
    });
  }

  /** Goes to the element by Tab alone. */
  async reach(id) {
    for (let step = 0; step < 20 && (await this.focused()) !== id; step++) await this.press("Tab");
    assert.equal(await this.focused(), id, "can be reached by Tab");
  }

  /** Tab goes through `stops` in this order and out of the page; Shift+Tab goes back. All are to be seen and have names. */
  async goesThrough(stops) {
    await this.reach(stops[0]);
    await this.isSeenAndNamed();
    const seen = [stops[0]];
    for (const _ of stops.slice(1)) {
      await this.press("Tab");
      seen.push(await this.focused());
      await this.isSeenAndNamed();
    }
    assert.deepEqual(seen, stops, "the order of the focus");
    await this.press("Tab");
    assert.ok(!stops.slice(1).includes(await this.focused()), "the focus leaves the page after the last stop");
    await this.reach(stops.at(-1));
    for (const stop of stops.slice(0, -1).reverse()) {
      await this.press("Shift+Tab");
      assert.equal(await this.focused(), stop, "Shift+Tab goes back");
    }
  }

  async isSeenAndNamed() {
    const at = await this.tab.evaluate(() => {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      const label = element.labels?.[0]?.textContent ?? element.textContent;
      return { outline: [style.outlineStyle, parseFloat(style.outlineWidth)], label: label.trim() };
    });
    assert.ok(at.outline[0] === "solid" && at.outline[1] >= 2, `the focus is to be seen: ${at.outline}`);
    assert.ok(at.label.length > 0, "what has the focus has a name");
    // The page scrolls there by the next frame.
    const isInView = () => {
      const box = document.activeElement.getBoundingClientRect();
      const ring = 5;
      return box.top >= ring && box.left >= ring && box.bottom <= innerHeight - ring && box.right <= innerWidth - ring;
    };
    await this.tab.waitForFunction(isInView).catch(() => assert.fail(`what has the focus is out of view: ${at.label}`));
  }

  /** Nothing is wider than the window, every field has a label, every page one heading and a title; and a picture. */
  async look(name) {
    const page = await this.tab.evaluate(() => ({
      fits: document.documentElement.scrollWidth <= innerWidth,
      unlabelled: [...document.querySelectorAll("input:not([type=hidden])")].filter((field) => !field.labels.length).length,
      headings: document.querySelectorAll("h1").length,
      language: document.documentElement.lang,
      title: document.title,
      tabindex: document.querySelectorAll("[tabindex]").length,
    }));
    assert.deepEqual({ ...page, title: page.title.length > 0 }, { fits: true, unlabelled: 0, headings: 1, language: "en", title: true, tabindex: 0 });
    if (pictures) await this.tab.screenshot({ path: join(pictures, `${this.name}-${++this.seen}-${name}.png`) });
  }

  /** The browser gives the focus when it first draws the page, which may be after the page's load event. */
  async beginsAt(id, why = "the first field has the focus") {
    await this.tab.waitForFunction(() => document.activeElement !== document.body);
    assert.equal(await this.focused(), id, why);
  }

  heading() {
    return this.tab.locator("h1").innerText();
  }

  /** Presses a key and waits for the page that it leads to. */
  async go(key) {
    await Promise.all([this.tab.waitForEvent("load"), this.press(key)]);
  }
}

async function signIn(keyboard) {
  const { tab } = keyboard;
  await tab.goto(authorizeUrl());
  await keyboard.beginsAt("username");
  await keyboard.goesThrough(["username", "password", "login", "cancel"]);
  await keyboard.look("sign-in");

  // Enter in a field is the first button, which signs in; the other one is Cancel.
  await keyboard.reach("username");
  await tab.keyboard.type(user);
  await keyboard.press("Tab");
  await tab.keyboard.type("a wrong password");
  await keyboard.go("Enter");
  await keyboard.beginsAt("password", "the field to correct has the focus");
  const described = await tab.evaluate(() => document.getElementById(document.activeElement.getAttribute("aria-describedby"))?.textContent);
  assert.equal(described, "User name or password is wrong.", "whoever hears the field hears why");
  await keyboard.look("sign-in-wrong");
  await tab.keyboard.type(password);
  await keyboard.go("Enter");
}

async function consent(keyboard) {
  const { tab } = keyboard;
  assert.match(await keyboard.heading(), /^Allow .* access\?$/);
  assert.equal(await keyboard.focused(), "", "nothing is allowed by a key that was pressed for another page");
  await keyboard.goesThrough(["approve", "cancel", "your account page"]);
  await keyboard.reach("approve");
  await keyboard.look("consent");
  await keyboard.press("Escape");
  assert.match(await keyboard.heading(), /^Allow/);
  await keyboard.go("Space");
  assert.match(tab.url(), /[?&]code=/, "Space allows");

  await tab.goto(authorizeUrl());
  await keyboard.reach("cancel");
  await keyboard.go("Enter");
  assert.match(tab.url(), /[?&]error=access_denied/, "Enter refuses");
}

async function device(keyboard) {
  const { tab } = keyboard;
  await tab.goto(`${issuer}/device`);
  await keyboard.beginsAt("user_code");
  await keyboard.goesThrough(["user_code", "lookup"]);
  await keyboard.reach("user_code");
  await tab.keyboard.type("BBBB-BBBB");
  await keyboard.go("Enter");
  await keyboard.beginsAt("user_code", "the field to correct has the focus");
  await keyboard.look("device-wrong");
  // As people type it: in small letters.
  await tab.keyboard.type((await deviceCode()).toLowerCase());
  await keyboard.go("Enter");
  assert.match(await keyboard.heading(), /^Allow/);
  await keyboard.goesThrough(["approve", "cancel"]);
  await keyboard.reach("approve");
  await keyboard.look("device-confirm");
  await keyboard.go("Enter");
  assert.equal(await keyboard.heading(), "Done");
  await keyboard.look("device-done");
}

async function account(keyboard) {
  const { tab } = keyboard;
  await tab.goto(`${issuer}/account`);
  await keyboard.goesThrough(["withdraw-1", "withdraw-2", "logout"]);
  await keyboard.reach("withdraw-1");
  await keyboard.look("account");
  await keyboard.go("Enter");
  assert.equal(await tab.locator("[id^=withdraw-]").count(), 1, "one is taken back");
  await keyboard.reach("withdraw-1");
  await keyboard.go("Space");
  assert.ok(await tab.locator("#nothing").isVisible());
  await keyboard.reach("logout");
  await keyboard.look("account-empty");
  await keyboard.go("Enter");
  await keyboard.beginsAt("username", "signed out");
  await keyboard.goesThrough(["username", "password", "login"]);
}

for (const [name, viewport] of [["desktop", { width: 1280, height: 800 }], ["phone", { width: 390, height: 844 }]]) {
  const directory = await mkdtemp(join(tmpdir(), "countersign-keyboard-"));
  const context = await chromium.launchPersistentContext(directory, { executablePath, headless: true, args: flags, viewport });
  const tab = await context.newPage();
  const keyboard = new Keyboard(tab, name);
  try {
    for (const part of [signIn, consent, device, account]) await part(keyboard);
    console.log(`${name}: sign-in, consent, device, account by keyboard`);
  } catch (fault) {
    console.error(`${name}: ${fault.stack}\nat ${tab.url()}:\n${await tab.locator("body").innerText().catch(() => "")}`);
    process.exitCode = 1;
  } finally {
    await context.close();
    await rm(directory, { recursive: true, force: true });
  }
}
app.close();
