// What stands around every page: the way to all others, the search, the theme, the zone, and who is signed in.
import { call } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { tenantZone, zoneChoice } from "./format.js";
import { learnCaller } from "./caller.js";
import { useLoad } from "./load.js";
import { go, to } from "./router.js";
import { knowsScopes, signOut, useMay } from "./session.js";
import { setTheme, useTheme } from "./theme.js";

/** The pages, in groups: address, name, and the operation without which there is nothing to see. */
const GROUPS = [
  ["Flow", [["", "Overview"], ["events", "Events", "listEvents"], ["transactions", "Transactions", "listBusinessTransactions"],
    ["deliveries", "Deliveries", "listDeliveries"]]],
  ["Mend", [["dead-letters", "Dead letters", "listDeadLetters"], ["replays", "Replays", "listReplays"], ["set-aside", "Set aside", "listSetAsideEvents"]]],
  ["Customers", [["accounts", "Accounts", "listAccounts"], ["bill-runs", "Bill runs", "listBillRuns"]]],
  ["Routing", [["queues", "Queues", "listQueues"], ["subscriptions", "Subscriptions", "listSubscriptions"],
    ["webhook-endpoints", "Webhook endpoints", "listWebhookEndpoints"], ["stream-subscriptions", "Stream subscriptions", "listStreamSubscriptions"],
    ["event-types", "Event types", "listEventTypes"], ["data-sources", "Data sources", "listDataSources"]]],
  ["E-mail", [["templates", "Templates", "listNotificationTemplates"], ["smtp-accounts", "SMTP accounts", "listSmtpAccounts"],
    ["system-users", "System users", "listSystemUsers"], ["suppressed-addresses", "Suppressed addresses", "listSuppressedAddresses"]]],
  ["Access", [["api-keys", "API keys", "listApiKeys"], ["roles", "Roles", "listRoles"],
    ["identity-providers", "Identity providers", "listIdentityProviders"], ["tenants", "Tenants", "listTenants"], ["audit", "Audit", "listAuditEntries"]]],
  ["Settings", [["settings", "Settings"]]],
];

function Search() {
  const box = useRef();
  useEffect(() => {
    const heard = (event) => {
      const writing = event.target.closest?.("input, textarea, select, [contenteditable], dialog");
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || writing) return;
      event.preventDefault();
      box.current.focus();
      box.current.select();
    };
    addEventListener("keydown", heard);
    return () => removeEventListener("keydown", heard);
  }, []);
  const find = (event) => {
    event.preventDefault();
    const q = box.current.value.trim();
    if (q) go(to("search", { q }));
  };
  return html`<form role="search" class="search" aria-label="Everything" onSubmit=${find}>
    <label for="search" class="hidden">Search: id, external id, account, event type, operation or time</label>
    <input id="search" ref=${box} type="search" placeholder="Id, external id, account, type, time" autocomplete="off" spellcheck=${false}
      aria-keyshortcuts="/" />
    <kbd aria-hidden="true">/</kbd>
  </form>`;
}

function Switches() {
  const theme = useTheme();
  const chosen = zoneChoice.use();
  const zone = tenantZone.use();
  return html`<div class="switches">
    <label><span>Theme</span><select value=${theme} onChange=${(event) => setTheme(event.target.value)}><option value="system">System</option>
      <option value="light">Light</option><option value="dark">Dark</option></select></label>
    <label><span>Times</span><select value=${chosen} onChange=${(event) => zoneChoice.set(event.target.value)}><option value="viewer">Yours</option>
      <option value="tenant">Tenant’s (${zone})</option></select></label>
    <button type="button" onClick=${() => signOut()}>Sign out</button>
  </div>`;
}

const LEARN_EVERY_MS = 60_000;

/** The frame. The tenant's zone is learned once it stands, the key's scopes and the business time every minute. */
export function Shell({ route, children }) {
  const [open, setOpen] = useState(false);
  const may = useMay();
  useEffect(() => {
    call("getBillingSettings", { quiet: true }).then(({ timeZone }) => tenantZone.set(timeZone), () => {});
  }, []);
  useLoad((_, again) => (again || !knowsScopes() ? learnCaller() : null), [], LEARN_EVERY_MS);
  useEffect(() => setOpen(false), [route]);
  const [here = ""] = route.parts;
  const main = (event) => {
    event.preventDefault();
    document.querySelector("main").focus();
  };
  return html`<a class="skip" href="#main" onClick=${main}>Skip to the content</a>
    <header class="bar">
      <button type="button" class="menu" aria-expanded=${open} aria-controls="pages" onClick=${() =>
        setOpen(!open)}>☰<span class="hidden"> Pages</span></button>
      <a class="brand" href="#/">Billwire</a>
      <${Search} />
      <${Switches} />
    </header>
    <div class="frame">
      <nav id="pages" class=${open ? "open" : ""} aria-label="Pages">
        ${GROUPS.map(([title, pages]) => ({ title, pages: pages.filter(([, , operation]) => !operation || may(operation)) })).filter(({ pages }) =>
          pages.length > 0).map(({ title, pages }) => html`<div class="group"><h2>${title}</h2><ul>
          ${pages.map(([path, name]) => html`<li><a href=${`#/${path}`} aria-current=${here === path ? "page" : undefined}>${name}</a></li>`)}
        </ul></div>`)}
      </nav>
      <main id="main" tabindex="-1">${children}</main>
    </div>`;
}
