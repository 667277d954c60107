// How ids, times, states and JSON are shown.
import { html, useState } from "../html.js";
import { ago, short, tenantZone, time, zoneChoice } from "../format.js";
import { to } from "../router.js";
import { say } from "./notice.js";

/** A time in the chosen zone; its age stands in the tooltip. */
export function Time({ at, precise = false, age = false }) {
  zoneChoice.use();
  tenantZone.use();
  if (!at) return html`<span class="faint">–</span>`;
  return html`<time dateTime=${at} title=${`${at} (${ago(at)})`}>${time(at, precise)}${age && html` <span class="faint">${ago(at)}</span>`}</time>`;
}

const GOOD = ["succeeded", "healthy", "active", "ok", "completed", "matched", "paid", "processed", "sent", "enabled"];
const BAD = ["dead", "blocking", "failing", "resting", "disabled", "down", "failed", "refused", "filterFailed", "overdue", "revoked", "setAside"];
const WARN = ["waiting", "degraded", "paused", "suspended", "pending", "held", "deferred", "collecting", "delivering", "running", "deleting", "suppressed"];
const WORDS = { dead: "dead letter", blocking: "dead letter, blocks its key", notRegistered: "type not on the queue", notChosen: "type not selected",
  filteredOut: "filtered out", filterFailed: "filter failed", tooYoung: "made after the event", wouldMatch: "would match now", setAside: "set aside" };

/** A state, by colour and word. */
export function State({ is, children }) {
  const kind = GOOD.includes(is) ? "good" : BAD.includes(is) ? "bad" : WARN.includes(is) ? "warn" : "";
  return html`<span class="state ${kind}">${children ?? WORDS[is] ?? is}</span>`;
}

export const Code = ({ children }) => html`<code>${children}</code>`;

/** An id that a click copies. */
export function Id({ of, whole = false }) {
  if (!of) return null;
  return html`<span class="id"><code title=${of}>${whole ? of : short(of)}</code><${Copy} text=${of} label=${`Copy the id ${of}`} /></span>`;
}

/** A button that copies a text. */
export function Copy({ text, label = "Copy", children }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      setDone(true);
      say("Copied.");
      setTimeout(() => setDone(false), 1500);
    } catch {
      say("The browser did not allow copying: select the text instead.", "bad");
    }
  };
  return html`<button type="button" class="copy" aria-label=${children ? undefined : label} title=${label} onClick=${copy}>
    ${children ?? (done ? "✓" : html`<svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
    <path d="M5 5V2h9v9h-3M2 5h9v9H2z" fill="none" stroke="currentColor" stroke-width="1.5" /></svg>`)}</button>`;
}

/** Where each kind of object has its page. */
const PAGES = {
  event: "events", businessTransaction: "transactions", delivery: "deliveries", account: "accounts", queue: "queues", subscription: "subscriptions",
  webhookEndpoint: "webhook-endpoints", notificationTemplate: "templates", smtpAccount: "smtp-accounts", replay: "replays", systemUser: "system-users",
  dataSource: "data-sources", apiKey: "api-keys", role: "roles", tenant: "tenants", streamSubscription: "stream-subscriptions", billRun: "bill-runs",
  customEventType: "event-types", eventType: "event-types", suppressedAddress: "suppressed-addresses", identityProvider: "identity-providers",
};

export const pageOf = (type) => PAGES[type];

/** A link to an object's page; its id alone where there is none. */
export function Ref({ type, id, name, query }) {
  if (!id) return null;
  const page = PAGES[type];
  const text = name ?? short(id);
  if (!page) return html`<a href=${to("search", { q: id })} title=${id}>${text}</a>`;
  return html`<a href=${to(page, id, query ?? {})} title=${name ? undefined : id}>${text}</a>`;
}

/** JSON as text; what is long scrolls within itself. */
export function Json({ value, label = "JSON" }) {
  if (value === undefined) return html`<p class="faint">Nothing.</p>`;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return html`<${Text} text=${text} label=${label} />`;
}

// Characters that turn the direction of what follows, or that nobody sees, are written as escapes: a text cannot pose as another.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
export const visible = (text) => text.replace(HIDDEN, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);

export const Text = ({ text, label }) =>
  html`<div class="text"><pre tabindex="0" role="region" aria-label=${label}>${visible(String(text))}</pre>
    <${Copy} text=${text} label=${`Copy: ${label}`} /></div>`;

/** Names and values under each other. */
export const Facts = ({ of }) =>
  html`<dl class="facts">${of.filter(Boolean).filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) =>
    html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** A page's head: what it is, its name, and what one can do. */
export const Head = ({ kind, title, up, children }) =>
  html`<header class="head">
    <div>${up ? html`<p class="kind"><a href=${up}>${kind}</a></p>` : kind && html`<p class="kind">${kind}</p>`}<h1 tabindex="-1">${title}</h1></div>
    ${children && html`<div class="actions">${children}</div>`}
  </header>`;

export const Section = ({ title, children, note, actions }) =>
  html`<section class="section"><div class="sectionhead"><h2>${title}</h2>${actions && html`<div class="actions">${actions}</div>`}</div>
    ${note && html`<p class="faint">${note}</p>`}${children}</section>`;

export const yesNo = (is) => (is ? "yes" : "no");
