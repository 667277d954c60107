// Uses the console with a real browser, as an operator does.
//
//     node console.cjs '{"scenario": "pages", "chromium": PATH, "console": URL, "folder": PATH, "key": API key, "axe": PATH of axe.min.js}'
//     node console.cjs '{"scenario": "errand", "chromium": PATH, "console": URL, "folder": PATH, "key": API key, "bad": URL, "good": URL, "path": "/hooks", "secret": of the receiver}'
//
// `pages` opens every page at 390 and 1280 px in both themes, or in the "shapes" [[WIDTH, THEME]]. It prints {"pages": COUNT, "violations": [of axe], "errors": [of the console], "blocked": [by the
// page's policy], "failed": [requests], "overflow": [pages wider than the window], "alerts": COUNT, "bytes": gzip size of all files that the pages load, "leaked": whether a typed
// password stands in the page after its form was refused}.
//
// `errand` makes an endpoint at `bad` and dead letters for it, then finds it from the overview, sees why, gives it the URL `good`, redrives, and watches it
// arrive. It prints {"reason": TEXT, "clicks": COUNT, "steps": [TEXT], "told": TEXT, "arrived": COUNT, "left": COUNT}.
//
// With "screenshots": FOLDER, it keeps pictures there.

const fs = require("node:fs");
const { gzipSync } = require("node:zlib");
const { chromium } = require("playwright-core");
const { run } = require("./browser.cjs");

// Widths and themes, if the caller names none.
const SHAPES = [[390, "light"], [390, "dark"], [1280, "light"], [1280, "dark"]];
// A name that would do harm if it were taken for markup.
const HOSTILE = '<img src=x onerror="alert(1)"> \u202e evil';

// The form that is filled in so that the API refuses it, with a secret.
const REFUSED_FORM = "smtp-accounts/new";
const PASSWORD = "hunter2-secret";

/** The API that the console speaks to. */
function api({ console: url, key }) {
  return async (method, path, body) => {
    const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
    const answer = await fetch(new URL(`v1/${path}`, url), { method, headers, body: body && JSON.stringify(body) });
    const told = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${JSON.stringify(told)}`);
    return told;
  };
}

/** Opens the console in a window of its own and signs in. What goes wrong is noted in `seen`. */
async function open(browser, config, seen, { width, scheme }) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme });
  await context.addInitScript(() => {
    globalThis.blockedByPolicy = [];
    addEventListener("securitypolicyviolation", (event) => globalThis.blockedByPolicy.push(`${event.violatedDirective}: ${event.blockedURI}`));
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  let here = "";
  page.on("console", (message) => message.type() === "error" && !/Failed to load resource/.test(message.text())
    && seen.errors.push(`${here}: ${message.text()}`));
  page.on("pageerror", (error) => seen.errors.push(`${here}: ${error.stack}`));
  page.on("dialog", (dialog) => (seen.alerts += 1, dialog.dismiss()));
  page.on("requestfailed", (request) => request.failure().errorText !== "net::ERR_ABORTED"
    && seen.failed.push(`${here}: ${request.url()}: ${request.failure().errorText}`));
  // The search asks for an id under every kind of object: all but one say 404. A form of the pages is refused.
  const meant = (answer) => (here.startsWith("search") && answer.status() === 404)
    || (here === REFUSED_FORM && answer.request().method() === "POST" && answer.status() < 500);
  page.on("response", (answer) => answer.status() >= 400 && !meant(answer) && seen.failed.push(`${here}: ${answer.status()} ${answer.url()}`));
  await page.goto(config.console);
  await page.fill("#key", config.key);
  await page.click("button[type=submit]");
  await page.waitForSelector("nav", { state: "attached" });
  const show = async (path) => {
    here = path;
    await page.goto(`${config.console}#/${path}`);
    await page.waitForSelector("main h1");
    await settled(page);
  };
  return { page, show, close: () => context.close() };
}

/** Waits until nothing is loading. */
async function settled(page) {
  await page.waitForFunction(() => !document.querySelector("main .loading"));
  await page.waitForLoadState("networkidle");
}

/** Every page of the console, with ids of what there is. */
async function addresses(call) {
  const first = async (path, fits = () => true) => (await call("GET", path)).items.find(fits)?.id;
  const kinds = {
    queues: "queues", subscriptions: "subscriptions", "webhook-endpoints": "webhook-endpoints", templates: "notification-templates",
      "smtp-accounts": "smtp-accounts",
    "system-users": "system-users", "suppressed-addresses": "suppressed-addresses", "stream-subscriptions": "stream-subscriptions",
      "data-sources": "data-sources",
    "api-keys": "api-keys", roles: "roles", "identity-providers": "identity-providers", tenants: "tenants", "bill-runs": "bill-runs", replays: "replays",
    events: "events", transactions: "business-transactions", deliveries: "deliveries", accounts: "accounts",
  };
  const noForm = ["events", "transactions", "deliveries", "accounts"];
  const noChange = [...noForm, "bill-runs", "replays", "templates", "api-keys", "stream-subscriptions", "data-sources", "suppressed-addresses"];
  const pages = ["", "search", "search?q=invoice.*", "dead-letters", "set-aside", "audit", "settings", "event-types", "event-types/invoice.posted",
    "event-types/new", "nothing"];
  for (const [page, path] of Object.entries(kinds)) {
    const id = await first(`${path}?limit=50`);
    pages.push(page, ...(noForm.includes(page) ? [] : [`${page}/new`]), ...(id ? [`${page}/${id}`] : []),
      ...(id && !noChange.includes(page) ? [`${page}/${id}/edit`] : []));
  }
  const hostile = await first("accounts?text=onerror&limit=50");
  if (!hostile) throw new Error("the account with the hostile name is not found");
  pages.push(`accounts/${hostile}`, `transactions?account=${hostile}`);
  const dead = await first("dead-letters?limit=1");
  if (dead) pages.push(`deliveries/${dead}`);
  return pages;
}

/** Something hostile to show, where there is none yet. */
async function makeHostile(call) {
  const before = (await call("GET", "accounts?text=onerror&limit=1")).items;
  if (before.length > 0) return;
  const cycles = (await call("GET", "bill-cycles?limit=1")).items;
  if (cycles.length > 0) await call("POST", "accounts", { name: HOSTILE, currency: "EUR", billCycle: cycles[0].id });
}

/** The gzip size of all files of the console that a page has loaded. */
async function size(page) {
  const urls = await page.evaluate(() =>
    [...new Set([location.href.split("#")[0],
    ...performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => name.includes("/console/"))])]);
  const bodies = await Promise.all(urls.map(async (url) => Buffer.from(await (await fetch(url)).arrayBuffer())));
  return bodies.reduce((sum, body) => sum + gzipSync(body, { level: 9 }).length, 0);
}

/** Sends a form that is refused, and tells whether the password in it stands anywhere in the page, with all that can be unfolded. */
async function leaks({ page, show }) {
  await show(REFUSED_FORM);
  const fields = { "Name (required)": "leak", "Server (required)": "mail.example", Port: "99999", "Sender’s name (required)": "leak",
    "Sender’s address (required)": "leak@example.com", Password: PASSWORD };
  for (const [label, text] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(text);
  await page.locator("form.form button[type=submit]").click();
  await page.locator("form.form .trouble").waitFor();
  await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
  // The form and the foot of the page each have the call, as a line for a shell.
  for (const place of ["form.form", "main > details.calls"]) await page.locator(place).getByLabel("curl for createSmtpAccount").waitFor();
  return page.evaluate((secret) => [document.body.innerText, document.documentElement.outerHTML].some((text) => text.includes(secret)), PASSWORD);
}

async function pages(browser, config) {
  const seen = { pages: 0, violations: [], errors: [], blocked: [], failed: [], overflow: [], alerts: 0, bytes: 0, leaked: false };
  const axe = fs.readFileSync(config.axe, "utf8");
  const call = api(config);
  await makeHostile(call);
  const all = await addresses(call);
  for (const [width, scheme] of config.shapes ?? SHAPES) {
    const { page, show, close } = await open(browser, config, seen, { width, scheme });
    for (const path of all) {
      const where = `${path || "overview"} (${width} px, ${scheme})`;
      await show(path);
      seen.pages += 1;
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (wider > 0) seen.overflow.push(`${where}: ${wider} px`);
      await page.evaluate(`${axe};0`);
      const found = await page.evaluate(async () =>
        (await globalThis.axe.run(document, { resultTypes: ["violations"] })).violations.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 200)}`));
      seen.violations.push(...found.map((one) => `${where}: ${one}`));
      if (config.screenshots) await page.screenshot({ path: `${config.screenshots}/${path.replaceAll(/\W+/g, "_") || "overview"}-${width}-${scheme}.png` });
    }
    seen.leaked ||= await leaks({ page, show });
    seen.blocked.push(...(await page.evaluate(() => globalThis.blockedByPolicy)));
    seen.bytes = Math.max(seen.bytes, await size(page));
    await close();
  }
  return seen;
}

/** An endpoint at a URL that cannot be reached, with a dead letter for each of some accounts. */
async function makeDeadLetters(call, config) {
  // Without digits: a number that the console tells is not of the name.
  const name = `errand ${[...String(Date.now())].map((digit) => "abcdefghij"[digit]).join("")}`;
  const cycles = (await call("GET", "bill-cycles?limit=1")).items;
  const billCycle = cycles[0]?.id ?? (await call("POST", "bill-cycles", { name, schedule: { period: "month", length: 1, billingDay: 1 } })).entities[0].id;
  await call("POST", "queues", { name, mode: "out_of_order", eventTypes: ["account.created"] });
  await call("POST", "webhook-endpoints", { name, url: config.bad, path: config.path, secret: config.secret, retryWaits: [] });
  const subscription = await call("POST", "subscriptions", { name, queueId: name, action: { type: "webhook", webhookEndpointId: name } });
  const id = subscription.entities[0].id;
  for (let i = 0; i < 3; i += 1) await call("POST", "accounts", { name: `${name} ${i}`, currency: "EUR", billCycle });
  const end = Date.now() + 60_000;
  while ((await call("GET", `dead-letters?subscriptionId=${id}`)).items.length < 3) {
    if (Date.now() > end) throw new Error("the deliveries did not become dead letters");
    await new Promise((done) => setTimeout(done, 200));
  }
  return { name, id };
}

async function errand(browser, config) {
  const seen = { errors: [], failed: [], alerts: 0 };
  const call = api(config);
  const { name, id } = await makeDeadLetters(call, config);
  const { page, close } = await open(browser, config, seen, { width: 1280, scheme: "light" });
  const steps = [];
  const click = async (what, element) => {
    await element.click();
    steps.push(what);
    if (config.screenshots) await page.screenshot({ path: `${config.screenshots}/errand-${steps.length}.png` });
  };
  await click("the endpoint in trouble, on the overview", page.getByRole("table", { name: "Receivers in trouble" }).getByRole("link", { name, exact: true }));
  const reason = await page.locator("article .reason").first().innerText();
  await click("Change", page.getByRole("link", { name: "Change", exact: true }));
  await page.getByLabel("URL (required)").fill(config.good);
  await click("Save the change", page.getByRole("button", { name: "Save the change" }));
  await click("Redrive all", page.getByRole("button", { name: "Redrive all" }));
  const told = (await page.locator("dialog .says").innerText()).replaceAll(/\s+/g, " ");
  await click("Redrive all, in the dialog", page.locator("dialog").getByRole("button", { name: "Redrive all" }));
  await page.getByText("no dead letters").waitFor();
  await click("All deliveries", page.getByRole("link", { name: "All deliveries" }));
  await page.getByRole("table", { name: "Deliveries" }).getByText("succeeded").nth(2).waitFor();
  const arrived = await page.getByRole("table", { name: "Deliveries" }).getByText("succeeded").count();
  if (config.screenshots) await page.screenshot({ path: `${config.screenshots}/errand-end.png` });
  await close();
  const left = (await call("GET", `dead-letters?subscriptionId=${id}`)).items.length;
  return { reason, clicks: steps.length, steps, told, arrived, left, errors: seen.errors, failed: seen.failed };
}

run(async (config) => {
  const browser = await chromium.launch({ executablePath: config.chromium, args: ["--no-sandbox", "--disable-gpu", `--crash-dumps-dir=${config.folder}`] });
  if (config.screenshots) fs.mkdirSync(config.screenshots, { recursive: true });
  const told = await (config.scenario === "errand" ? errand : pages)(browser, config);
  await browser.close();
  return told;
});
