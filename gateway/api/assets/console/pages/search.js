// Finds what a text names: an id, an external id, an account, an event type, an operation, or a time.
import { call } from "../api.js";
import { html } from "../html.js";
import { moment, tenantZone, zone, zoneChoice } from "../format.js";
import { useLoad } from "../load.js";
import { may } from "../session.js";
import { to } from "../router.js";
import { Table } from "../parts/list.js";
import { Empty, Loading, Trouble } from "../parts/notice.js";
import { Head, pageOf, Section, State } from "../parts/show.js";
import { EVENT_COLUMNS } from "./events.js";
import { TRANSACTION_COLUMNS } from "./transactions.js";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Objects by id or external id, in the order in which they are likely: operation, name of its parameter, kind. */
const OBJECTS = [
  ["getEvent", "event", "event", "uuid"], ["getBusinessTransaction", "businessTransaction", "businessTransaction", "uuid"],
    ["getDelivery", "delivery", "delivery", "uuid"],
  ["getAccount", "account", "account"], ["getInvoice", "invoice", "invoice"], ["getPayment", "payment", "payment"], ["getService", "service", "service"],
  ["getPackageSubscription", "packageSubscription", "packageSubscription"], ["getBillRun", "billRun", "billRun"], ["getReplay", "replay", "replay", "uuid"],
  ["getQueue", "queue", "queue"], ["getSubscription", "subscription", "subscription"], ["getWebhookEndpoint", "webhookEndpoint", "webhookEndpoint"],
  ["getNotificationTemplate", "notificationTemplate", "notificationTemplate"], ["getSmtpAccount", "smtpAccount", "smtpAccount"],
];

async function objects(q) {
  const asked = OBJECTS.filter(([operation, , , form]) => may(operation) && (form !== "uuid" || UUID.test(q)));
  const found = await Promise.all(asked.map(async ([operation, parameter, kind]) => {
    try {
      const object = await call(operation, { path: { [parameter]: q }, quiet: true });
      return { kind, object };
    } catch (problem) {
      // Not found, not allowed, or no such form of id: it is then none of these.
      if (problem.status === 401 || problem.code === "unreachable") throw problem;
      return null;
    }
  }));
  return found.filter(Boolean);
}

async function list(operation, query) {
  if (!may(operation)) return [];
  try {
    return (await call(operation, { query: { limit: 20, ...query } })).items;
  } catch (problem) {
    if (problem.status === 401 || problem.code === "unreachable") throw problem;
    return [];
  }
}

/** A day, or a time and five minutes around it. Without an offset it is of the zone that times are shown in. */
function around(q) {
  if (!/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/.test(q)) return null;
  const text = q.replace(" ", "T");
  const [from, to] = q.length === 10 ? [moment(`${q}T00:00`), moment(`${nextDay(q)}T00:00`)]
    : [-300_000, 300_000].map((off) => (/(Z|[+-]\d\d:?\d\d)$/.test(text.slice(10)) ? new Date(text).getTime() : moment(text)) + off);
  if (Number.isNaN(from) || Number.isNaN(to)) return null;
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}

const nextDay = (day) => {
  const at = new Date(`${day}T00:00Z`).getTime();
  return Number.isNaN(at) ? "" : new Date(at + 86_400_000).toISOString().slice(0, 10);
};

async function find(q) {
  const time = around(q);
  const type = /^[a-z_*]+\.[a-z_.*]+$/.test(q);
  const operation = /^[a-z]+[A-Z]\w*$/.test(q);
  const [direct, accounts, events, transactions] = await Promise.all([
    time || type ? [] : objects(q),
    time || type || UUID.test(q) ? [] : list("listAccounts", { text: q }),
    time ? list("listEvents", time) : type ? list("listEvents", { type: q }) : UUID.test(q) ? list("listEvents", { objectId: q }) : [],
    time ? list("listBusinessTransactions", time) : operation ? list("listBusinessTransactions", { operation: q }) : UUID.test(q)
      ? list("listBusinessTransactions", { objectId: q }) : [],
  ]);
  const all = time ? { ...time } : type ? { type: q } : UUID.test(q) ? { objectId: q } : null;
  return { direct, accounts, events, transactions, all, operation };
}

const address = ({ kind, object }) => (pageOf(kind) ? to(pageOf(kind), object.id) : to("transactions", { objectId: object.id }));
const name = (object) => object.name ?? object.number ?? object.type ?? object.operation ?? object.eventType ?? object.externalId ?? object.id;

const DIRECT = [
  { title: "What", cell: ({ kind }) => kind },
  { title: "Name", cell: (one) => html`<a href=${address(one)}>${name(one.object)}</a>` },
  { title: "State", cell: ({ object }) => ((object.status ?? object.state) ? html`<${State} is=${object.status ?? object.state} />` : "–") },
  { title: "Id", cell: ({ object }) => html`<code>${object.id}</code>` },
];
const ACCOUNTS = [
  { title: "Name", cell: (one) => html`<a href=${to("accounts", one.id)}>${one.name}</a>` },
  { title: "External id", cell: (one) => one.externalId ?? "–" },
  { title: "Status", cell: (one) => html`<${State} is=${one.status} />` },
];

export function SearchResults({ query: { q = "" } }) {
  zoneChoice.use();
  tenantZone.use();
  const load = useLoad(() => find(q), [q, zone()]);
  if (!q) return html`<${Head} title="Search" />
    <${Empty} title="Type what you look for">An id, an external id, the name of an account, an event type such as <code>invoice.*</code>, an operation such as <code>startBillRun</code>, or a time such as <code>2026-11-30 17:04</code>. The key <kbd>/</kbd> takes you to the search.<//>`;
  if (load.loading) return html`<${Head} title=${`Search: ${q}`} /><${Loading} what="Searching" />`;
  if (load.problem) return html`<${Head} kind="Search" title=${q} /><${Trouble} problem=${load.problem} title="Search" again=${load.again} />`;
  const { direct, accounts, events, transactions, all } = load.data;
  const n = direct.length + accounts.length + events.length + transactions.length;
  return html`<${Head} kind="Search" title=${q} />
    <p role="status" aria-live="polite">${n === 0 ? "Nothing found." : `${n} found.`}</p>
    ${n === 0 && html`<${Empty} title="Nothing has this name">Try a whole id, the beginning of an account’s name, an event type such as <code>invoice.*</code>, or a time such as <code>2026-11-30 17:04</code>.<//>`}
    ${direct.length > 0 && html`<${Section} title="By its id or name">
      <${Table} items=${direct} columns=${DIRECT} label="Found by id" rowKey=${({ object, kind }) => kind + object.id} /><//>`}
    ${accounts.length > 0 && html`<${Section} title="Accounts"><${Table} items=${accounts} columns=${ACCOUNTS} label="Accounts found" /><//>`}
    ${events.length > 0 && html`<${Section} title="Events" actions=${all && html`<a href=${to("events", all)}>See all</a>`}>
      <${Table} items=${events} columns=${EVENT_COLUMNS} label="Events found" /><//>`}
    ${transactions.length > 0 && html`<${Section} title="Business transactions">
      <${Table} items=${transactions} columns=${TRANSACTION_COLUMNS} label="Transactions found" /><//>`}`;
}
