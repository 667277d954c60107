// Queues, subscriptions, webhook endpoints, stream subscriptions, event types, data sources, bill runs.
import { html } from "../html.js";
import { count, money, number } from "../format.js";
import { to } from "../router.js";
import { Action, Go } from "../parts/dialog.js";
import { State, Time } from "../parts/show.js";
import { ActionOf, Health, QueueOf, QueueState } from "../parts/routing.js";
import { ParameterHelp } from "../parts/parameters.js";

export const named = (path) => ({ title: "Name", cell: (one) => html`<a href=${to(path, one.id)}>${one.name}</a>` });
export const created = { title: "Created", cell: (one) => html`<${Time} at=${one.createdAt} />`, kind: "nowrap" };
export const name = { name: "name", label: "Name", required: true };

/** What is selected, in a few words. */
export function Selected({ of: { eventTypes = [], objects = [] }, none = "all events" }) {
  const parts = [...objects.map(({ object, events }) => `${object} (${events.join(", ")})`), ...eventTypes];
  if (parts.length === 0) return none;
  return html`<span title=${parts.join("\n")}>${parts.slice(0, 3).join(", ")}
    ${parts.length > 3 && html` <span class="faint">and ${parts.length - 3} more</span>`}</span>`;
}

const eventTypes = { name: "eventTypes", label: "Event types", type: "eventTypes", help: "Types, and patterns in which * stands for one part of a name." };
const objects = { name: "objects", label: "Objects", type: "objects",
  help: "All events of an object, by kind. Lifecycle: all besides created, updated and deleted." };

const queues = {
  path: "queues", one: "queue", title: "Queues", group: "Routing", param: "queue", names: "queues",
  list: "listQueues", get: "getQueue", create: "createQueue", update: "updateQueue", remove: "deleteQueue",
  lead: "A queue registers event types. Subscriptions take their events from a queue.",
  bulk: [
    { operation: "pauseQueue", label: "Pause", fits: ({ paused }) => !paused,
      says: "Stops all their deliveries. Their events are kept and delivered once they are resumed." },
    { operation: "resumeQueue", label: "Resume", fits: ({ paused }) => paused, says: "Delivers their events again, beginning with those that have waited." },
  ],
  next: "Create a queue, register event types on it, then subscribe to it.",
  columns: [named("queues"), { title: "Order", cell: ({ mode }) => (mode === "in_order" ? "in order" : "any order") },
    { title: "State", cell: ({ paused }) => html`<${State} is=${paused ? "paused" : "active"} />` },
    { title: "Registered", cell: (one) => html`<${Selected} of=${one} />` }, created],
  fields: [
    name,
    { name: "mode", label: "Order", type: "choice", required: true,
      options: [["in_order", "In order: one by one for each account"], ["out_of_order", "Any order: faster"]], initial: "in_order" },
    eventTypes, objects,
  ],
  facts: (one) => [["State", html`<${State} is=${one.paused ? "paused" : "active"} />`],
    ["Its deliveries", html`<a href=${to("deliveries", { queueId: one.id })}>all</a> · <a href=${to("deliveries",
    { queueId: one.id, state: "waiting" })}>waiting</a> · <a href=${to("dead-letters", { queueId: one.id })}>dead letters</a>`]],
  more: ({ object }) => html`<${QueueState} queue=${object} />`,
  actions: ({ object: one, again }) => (one.paused
    ? html`<${Action} operation="resumeQueue" given=${{ path: { queue: one.id }, body: {} }} label="Resume" primary done=${again}
      told="The queue is resumed." says=${html`<p>Delivers the events of <strong>${one.name}</strong> again, beginning with those that have waited.</p>`} />`
    : html`<${Action} operation="pauseQueue" given=${{ path: { queue: one.id }, body: {} }} label="Pause" done=${again} told="The queue is paused."
      says=${html`<p>Stops all deliveries of <strong>${one.name}</strong>. Its events are kept and delivered once it is resumed.</p>`} />`),
};

const isAction = (type) => (values) => values["action.type"] === type;
const email = isAction("email");

const subscriptions = {
  path: "subscriptions", one: "subscription", title: "Subscriptions", group: "Routing", param: "subscription", names: "subscriptions",
  list: "listSubscriptions", get: "getSubscription", create: "createSubscription", update: "updateSubscription", remove: "deleteSubscription",
  lead: "A subscription takes events from a queue and does one thing with each: a webhook call, an e-mail, a forward to another queue, or a calculation.",
  bulk: [
    { operation: "disableSubscription", label: "Disable", fits: ({ enabled }) => enabled,
      says: "They get no events from now on. Events of that time are not delivered later, except by a replay." },
    { operation: "enableSubscription", label: "Enable", fits: ({ enabled }) => !enabled, says: "They get every event that matches from now on." },
  ],
  next: "You need a queue first, and a webhook endpoint or a template.",
  columns: [named("subscriptions"), { title: "State", cell: ({ enabled }) => html`<${State} is=${enabled ? "enabled" : "disabled"} />` },
    { title: "Queue", cell: (one) => html`<${QueueOf} id=${one.queueId} />` },
    { title: "Action", cell: (one) => html`<${ActionOf} action=${one.action} />` },
    { title: "Events", cell: (one) => html`<${Selected} of=${one} none="all of the queue" />` }],
  fields: [
    name,
    { name: "queueId", label: "Queue", type: "ref", names: "queues", required: true, fixed: true },
    { ...eventTypes, help: "None, and no object: all events of the queue." }, objects,
    { name: "filter", label: "Filter", type: "code", unset: null,
      help: "A CEL expression that must be true, such as decimal(invoice.total) > decimal(\"1000\"). Empty: every selected event." },
    { name: "parameters", label: "Parameters to add", type: "map", help: "Names with CEL expressions; receivers find them in data.parameters.",
      valueLabel: "CEL expression" },
    { name: "hint", label: "", type: "note", component: ParameterHelp },
    { name: "action.type", label: "Action", type: "choice", required: true, initial: "webhook",
      options: [["webhook", "Webhook call"], ["email", "E-mail"], ["forward", "Forward to another queue"], ["calculate", "Calculate a custom event"]] },
    { name: "action.webhookEndpointId", label: "Webhook endpoint", type: "ref", names: "endpoints", required: true, when: isAction("webhook") },
    { name: "action.path", label: "Path below the endpoint’s", help: "{name} is replaced by a parameter.", when: isAction("webhook") },
    { name: "action.notificationTemplateId", label: "Template", type: "ref", names: "templates", required: true, when: email,
      also: "listPredefinedTemplates" },
    { name: "action.smtpAccountId", label: "SMTP account", type: "ref", names: "smtpAccounts", help: "None: the tenant’s default account.", when: email },
    { name: "action.to", label: "To", type: "list", required: true,
      help: "One a line: an address, the id of a system user, or a parameter that holds an address.", when: email },
    { name: "action.cc", label: "Cc", type: "list", when: email }, { name: "action.bcc", label: "Bcc", type: "list", when: email },
    { name: "action.attachEvent", label: "Attach the event as JSON", type: "bool", when: email },
    { name: "action.queueId", label: "Queue to forward to", type: "ref", names: "queues", required: true, when: isAction("forward") },
    { name: "action.eventType", label: "Custom event type", type: "text", list: "event-types", required: true, when: isAction("calculate") },
    { name: "action.data", label: "Members of its data", type: "map", valueLabel: "CEL expression", when: isAction("calculate") },
    { name: "whenGivenUp", label: "After a dead letter, in an in-order queue", type: "choice",
      options: [["skip", "Skip it: deliver what follows"], ["block", "Block: the ordering key waits for a person"]], initial: "skip" },
  ],
  facts: (one) => [
    ["State", html`<${State} is=${one.enabled ? "enabled" : "disabled"} />`],
    ["Its deliveries", html`<a href=${to("deliveries", { subscriptionId: one.id })}>all</a> · <a href=${to("deliveries",
      { subscriptionId: one.id, state: "waiting" })}>waiting</a> · <a href=${to("dead-letters", { subscriptionId: one.id })}>dead letters</a>`],
  ],
  actions: ({ object: one, again }) => html`${one.enabled
    ? html`<${Action} operation="disableSubscription" given=${{ path: { subscription: one.id }, body: {} }} label="Disable" done=${again}
      told="The subscription is disabled."
      says=${html`<p><strong>${one.name}</strong> gets no events from now on. Events of that time are not delivered later, except by a replay.</p>`} />`
    : html`<${Action} operation="enableSubscription" given=${{ path: { subscription: one.id }, body: {} }} label="Enable" primary done=${again}
      told="The subscription is enabled." says=${html`<p><strong>${one.name}</strong> gets every event that matches from now on.</p>`} />`}
    <${Go} operation="replayEvents" href=${to("replays", "new", { subscriptionId: one.id })} label="Replay events" />`,
};

const auth = (...types) => (values) => types.includes(values["auth.type"]);

const endpoints = {
  path: "webhook-endpoints", one: "webhook endpoint", title: "Webhook endpoints", group: "Routing", param: "webhookEndpoint", names: "endpoints",
  list: "listWebhookEndpoints", get: "getWebhookEndpoint", create: "createWebhookEndpoint", update: "updateWebhookEndpoint", remove: "deleteWebhookEndpoint",
  lead: "A webhook endpoint is a URL that events are sent to, signed by the Standard Webhooks rules.",
  bulk: [
    { operation: "disableWebhookEndpoint", label: "Disable", fits: ({ enabled }) => enabled,
      says: "Stops all calls to them. Their deliveries wait until they are enabled." },
    { operation: "enableWebhookEndpoint", label: "Enable", fits: ({ enabled }) => !enabled, says: "Calls them again, beginning with what has waited." },
  ],
  next: "Create one for your receiver, test it, then subscribe it to a queue.",
  columns: [named("webhook-endpoints"), { title: "State", cell: (one) => html`<${Health} endpoint=${one} />` },
    { title: "URL", cell: (one) => html`<span class="break">${one.url}${one.path ?? ""}</span>` }, created],
  fields: [
    name,
    { name: "url", label: "URL", required: true, help: "https, a public host, port 443." },
    { name: "path", label: "Path below the URL", unset: null },
    { name: "ownerEmail", label: "E-mail of the owner", unset: null, help: "Told when the endpoint is disabled because its receiver fails." },
    { name: "maxPerSecond", label: "Calls per second at most", type: "number", unset: null, help: "Empty: no limit." },
    { name: "maxInFlight", label: "Calls at the same time at most", type: "number", unset: null, help: "Empty: the installation’s setting." },
    { name: "retryWaits", label: "Waits before each retry, in seconds", type: "list", of: "number", none: true, unset: null,
      help: "One a line. Empty: the installation’s plan. The word none: no retries." },
    { name: "auth.type", label: "Authentication besides the signature", type: "choice",
      options: [["none", "None"], ["basic", "Basic"], ["bearer", "Bearer token"], ["oauth2", "OAuth2 client credentials"]], initial: "none", skip: "none" },
    { name: "auth.username", label: "User name", required: true, when: auth("basic") },
      { name: "auth.password", label: "Password", type: "secret", required: true, when: auth("basic") },
    { name: "auth.token", label: "Token", type: "secret", required: true, when: auth("bearer") },
    { name: "auth.tokenUrl", label: "Token endpoint", required: true, when: auth("oauth2") },
      { name: "auth.clientId", label: "Client id", required: true, when: auth("oauth2") },
    { name: "auth.clientSecret", label: "Client secret", type: "secret", required: true, when: auth("oauth2") },
      { name: "auth.scope", label: "Scope", when: auth("oauth2") },
    { name: "headers", label: "Headers to send", type: "map", valueLabel: "Value", secret: true,
      help: "Values are stored encrypted and never shown. On a change: all of them again." },
    { name: "signingAlgorithm", label: "Signature", type: "choice", options: [["hmac", "HMAC: a shared secret"], ["ed25519", "Ed25519: a key pair"]],
      initial: "hmac", createOnly: true },
  ],
};

const streams = {
  path: "stream-subscriptions", one: "stream subscription", title: "Stream subscriptions", group: "Routing", param: "streamSubscription",
  list: "listStreamSubscriptions", get: "getStreamSubscription", create: "createStreamSubscription", remove: "deleteStreamSubscription",
  lead: "A stream subscription reads the tenant’s events over NATS.",
  next: "Create one, then read it with an API key that has the scope stream:read.",
  columns: [named("stream-subscriptions"), { title: "To read", cell: ({ progress }) => (progress ? number(progress.pending) : "–"), kind: "number" },
    { title: "Not acknowledged", cell: ({ progress }) => (progress ? number(progress.outstanding) : "–"), kind: "number" },
    { title: "Events", cell: (one) => html`<${Selected} of=${one} />` }, created],
  fields: [
    name, eventTypes, objects,
    { name: "start.type", label: "Starts with", type: "choice",
      options: [["now", "What is published from now on"], ["time", "What was published at a time or later"], ["everything", "All that the stream has"]],
      initial: "now" },
    { name: "start.at", label: "Time", type: "time", required: true, when: (values) => values["start.type"] === "time" },
  ],
  facts: (one) => [
    ["Consumer", html`<code>${one.consumer}</code>`],
    one.connection && ["Connect to",
      html`<code>${one.connection.url}</code>, stream <code>${one.connection.stream}</code>, inbox <code>${one.connection.inboxPrefix}</code>`],
    one.progress && ["To read", count(one.progress.pending, "event")], one.progress && ["Not acknowledged", count(one.progress.outstanding, "event")],
      ["Resets", number(one.resets)],
  ],
  actions: ({ object: one, again }) =>
    html`<${Action} operation="resetStreamSubscription" given=${{ path: { streamSubscription: one.id }, body: { start: { type: "everything" } } }}
    label="Read all again" danger done=${again} told="The subscription begins anew."
    says=${html`<p>Sets <strong>${one.name}</strong> back to the beginning of the stream: its reader gets every event again.</p>`} />`,
};

const eventTypeKind = {
  path: "event-types", one: "event type", title: "Event types", group: "Routing", param: "eventType", plain: true,
  list: "listEventTypes", unpaged: true, get: "getEventType", create: "registerEventType", remove: "deleteEventType",
  lead: "What events there are, with the parameters that each offers. Your own types have names that begin with custom.",
  columns: [{ title: "Name", cell: (one) => html`<a href=${to("event-types", one.name)}>${one.name}</a>` }, { title: "Title", cell: ({ title }) => title },
    { title: "Family", cell: ({ family }) => family }, { title: "Caused by", cell: ({ trigger }) => trigger },
    { title: "Parameters", cell: ({ parameters }) => parameters.length, kind: "number" }],
  key: (one) => one.name,
  fields: [
    { name: "name", label: "Name, without custom.", required: true }, { name: "title", label: "Title", required: true },
      { name: "description", label: "Meaning", type: "textarea" },
    { name: "orderingKey", label: "Ordering key", type: "choice",
      options: [["", "Each event says"], ["account", "Account"], ["key", "A key given with each event"]], initial: "" },
    { name: "schema", label: "JSON Schema of its data", type: "json", required: true, initial: '{\n  "type": "object",\n  "properties": {}\n}' },
  ],
};

const dataSources = {
  path: "data-sources", one: "data source", title: "Data sources", group: "Routing", param: "dataSource",
  list: "listDataSources", get: "getDataSource", create: "createDataSource", remove: "deleteDataSource",
  lead: "A data source adds parameters to an object’s events, along relations to another object.",
  next: "Create one if a template or a filter needs a parameter that its event does not offer.",
  columns: [named("data-sources"), { title: "Object", cell: ({ object }) => object }, { title: "Path", cell: ({ path }) => path.join(" → ") }, created],
  fields: [{ ...name, help: "Prefix of the added parameters." },
    { name: "object", label: "Object whose events get the parameters", required: true, help: "Such as account or invoice." },
    { name: "path", label: "Relations to follow", type: "list", required: true, help: "One a line, such as account, then billingContact." }],
};

const billRuns = {
  path: "bill-runs", one: "bill run", title: "Bill runs", group: "Customers", param: "billRun", live: 3000,
  list: "listBillRuns", get: "getBillRun", create: "startBillRun", createLabel: "Start a bill run",
  lead: "A bill run makes invoices of a bill cycle’s unbilled charges and fees.",
  next: "Start one for a bill cycle.",
  title1: (one) => `Bill run of ${one.billingDate}`,
  columns: [{ title: "Started", cell: (one) => html`<a href=${to("bill-runs", one.id)}><${Time} at=${one.startedAt} /></a>` },
    { title: "Status", cell: ({ status }) => html`<${State} is=${status} />` }, { title: "Billing date", cell: ({ billingDate }) => billingDate },
    { title: "Accounts", cell: ({ accounts, accountsLeft }) => `${number(accounts)}${accountsLeft ? ` of ${number(accounts + accountsLeft)}` : ""}`,
    kind: "number" }, { title: "Invoices", cell: ({ invoices }) => number(invoices), kind: "number" },
    { title: "Failed", cell: ({ failed }) => (failed ? html`<span class="badtext">${number(failed)}</span>` : "0"), kind: "number" },
    { title: "Totals", cell: ({ totals }) => totals.map(money).join(", ") }],
  fields: [{ name: "billCycle", label: "Bill cycle", type: "ref", names: "billCycles", required: true },
    { name: "billingDate", label: "Billing date", type: "date", help: "Empty: today in the tenant’s zone." }],
  facts: (one) => [["Status", html`<${State} is=${one.status} />`], one.accountsLeft
    && ["Progress", html`<progress max=${one.accounts + one.accountsLeft} value=${one.accounts} aria-label="Accounts billed">
    </progress> ${count(one.accountsLeft, "account")} left`], ["Invoices", number(one.invoices)],
    ["Failed accounts", one.failed ? html`<a href=${to("events", { type: "account.billing_failed" })}>${number(one.failed)}</a>` : "0"],
    ["Totals", one.totals.map(money).join(", ")], ["Its events", html`<a href=${to("events", { objectId: one.id })}>of the run</a>`]],
};

export const ROUTING = [queues, subscriptions, endpoints, streams, eventTypeKind, dataSources, billRuns];
