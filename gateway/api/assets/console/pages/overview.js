// Is it flowing? The way of a message with what waits at each stage, and what needs a person.
import { call, readiness } from "../api.js";
import { html, useRef } from "../html.js";
import { count, duration, number } from "../format.js";
import { optional, useLoad } from "../load.js";
import { useItems } from "../names.js";
import { may } from "../session.js";
import { to } from "../router.js";
import { Table } from "../parts/list.js";
import { Denied, Loading, Trouble } from "../parts/notice.js";
import { HealthState } from "../parts/routing.js";
import { Head, Ref, Section, State, Time } from "../parts/show.js";
import { beyond, LOOKED_AT, many, reasons, troubled, unknown } from "./findings.js";
import { Flow } from "./flow.js";
import { Progress } from "./replays.js";
import { Throughput } from "./throughput.js";

const EVERY_MS = 4000;

/** What the key may see; what it may not is left out, with a word. */
const seen = (operation, given, quiet) => (may(operation) ? optional(call(operation, { ...given, quiet })) : { denied: operation });

async function withNumbers(list, operation, parameter, quiet) {
  const items = (list.data?.items ?? []).slice(0, LOOKED_AT);
  const numbers = await Promise.all(items.map(({ id }) => seen(operation, { path: { [parameter]: id } }, quiet || id !== items[0].id)));
  return items.map((item, i) => ({ ...item, now: numbers[i].data, denied: numbers[i].denied, problem: numbers[i].problem }));
}

async function look(quiet) {
  const [ready, queues, endpoints, dead, setAside, billRuns, replays, events] = await Promise.all([
    optional(readiness()),
    seen("listQueues", { query: { limit: 200 } }, quiet), seen("listWebhookEndpoints", { query: { limit: 200 } }, quiet),
    seen("listDeadLetters", { query: { limit: 200 } }, quiet), seen("listSetAsideEvents", { query: { limit: 200 } }, quiet),
    seen("listBillRuns", { query: { status: "running", limit: 20 } }, quiet), seen("listReplays", { query: { limit: 20 } }, quiet),
    seen("listEvents", { query: { limit: 1 } }, quiet),
  ]);
  const newest = events.data?.items[0];
  const [queueNumbers, health, explained] = await Promise.all([
    withNumbers(queues, "getQueueStatistics", "queue", quiet), withNumbers(endpoints, "getWebhookEndpointHealth", "webhookEndpoint", quiet),
    newest ? seen("explainEvent", { path: { event: newest.id } }, true) : {},
  ]);
  return { ready, queues, queueNumbers, endpoints, health, dead, setAside, billRuns, replays, events, newest, explained };
}

export function Overview() {
  const history = useRef([]);
  const load = useLoad(async (signal, again) => {
    const data = await look(again);
    const sum = (name) => data.queueNumbers.reduce((total, { now }) => total + (now?.[name] ?? 0), 0);
    history.current = [...history.current, { delivered: sum("deliveredPerSecond"), failed: sum("failedPerSecond") }].slice(-150);
    return data;
  }, [], EVERY_MS);
  if (load.loading) return html`<${Head} title="Overview" /><${Loading} what="Looking" />`;
  if (!load.data) return html`<${Head} title="Overview" /><${Trouble} problem=${load.problem} title="Overview" again=${load.again} />`;
  const { data } = load;
  return html`<${Head} title="Overview" />
    <${Trouble} problem=${load.problem} title="Looking again" />
    <${Verdict} data=${data} />
    <${Flow} data=${data} history=${history.current} />
    <${Throughput} />
    <${NeedsAPerson} data=${data} />
    <${Receivers} data=${data} />
    <${Queues} data=${data} />
    <${UnderWay} data=${data} />
    <${Parts} ready=${data.ready} />`;
}

/** One sentence, in words and colour; then why, and what it does not know. */
function Verdict({ data }) {
  const { ready } = data;
  if (ready.problem) return html`<${Trouble} problem=${ready.problem} title="Readiness" />`;
  const wrong = Object.entries(ready.data.parts).filter(([, { status }]) => status !== "ok");
  const down = wrong.some(([, { status }]) => status === "down");
  const [why, unseen] = [reasons(data), unknown(data)];
  const kind = down ? "bad" : wrong.length > 0 || why.length > 0 ? "warn" : unseen.length > 0 ? "" : "good";
  const text = down ? "Operations are refused." : wrong.length > 0 ? "Operations are accepted, but a person should look."
    : why.length > 0 ? "It flows, but not everywhere." : unseen.length > 0 ? "What can be seen flows." : "It flows.";
  return html`<div class="verdict ${kind}" role="status"><p><strong>${text}</strong></p>
    ${wrong.length + why.length > 0 && html`<ul>
      ${wrong.map(([name, { status, detail, since }]) =>
      html`<li><${State} is=${status}>${name}<//> ${detail} <span class="faint">since <${Time} at=${since} /></span></li>`)}
      ${why.map((one) => html`<li>${one}.</li>`)}</ul>`}
    ${unseen.length > 0 && html`<p class="faint">Not known: ${unseen.join("; ")}.</p>`}</div>`;
}

function NeedsAPerson({ data: { dead, setAside, endpoints, health } }) {
  const tile = (title, href, value, bad, note) =>
    html`<li class="tile ${bad ? "bad" : ""}"><a href=${href}><strong>${value}</strong> <span>${title}</span></a>
    ${note && html`<span class="faint">${note}</span>`}</li>`;
  const unseen = health.filter(({ enabled, now }) => enabled && !now).length;
  const limit = beyond(endpoints) ? `of the first ${LOOKED_AT}` : "";
  const seen = [limit, unseen > 0 && `${unseen} not known`].filter(Boolean).join(", ");
  const endpointTile = (word, fits, note) => {
    const n = health.filter(fits).length;
    return tile(`endpoints ${word}`, "#/webhook-endpoints", n, n > 0, note);
  };
  return html`<${Section} title="Needs a person"><ul class="tiles">
    ${dead.data && tile("dead letters", "#/dead-letters", many(dead), dead.data.items.length > 0)}
    ${setAside.data && tile("events set aside", "#/set-aside", many(setAside), setAside.data.items.length > 0)}
    ${health.length > 0 && ["failing", "resting"].map((state) => endpointTile(state, ({ enabled, now }) => enabled && now?.state === state, seen))}
    ${health.length > 0 && endpointTile("disabled", ({ enabled }) => !enabled, limit)}
  </ul>
  ${[dead, setAside].filter(({ denied }) => denied).map(({ denied }) => html`<${Denied} operation=${denied} what="A number" />`)}
  ${[dead, setAside].map(({ problem }) => html`<${Trouble} problem=${problem} title="A number" />`)}<//>`;
}

const RECEIVER_COLUMNS = [
  { title: "Receiver", cell: ({ endpoint, subscription }) =>
    (endpoint ? html`<${Ref} type="webhookEndpoint" id=${endpoint.id} name=${endpoint.name} />`
    : html`<${Ref} type="subscription" id=${subscription.id} name=${subscription.name} /> <span class="faint">${subscription.action.type}</span>`) },
  { title: "State", cell: ({ endpoint }) => (endpoint ? html`<${HealthState} endpoint=${endpoint} health=${endpoint.now} />` : "–") },
  { title: "Dead letters", cell: ({ letters, endpoint }) =>
    (letters.length > 0 ? html`<a href=${to("dead-letters",
    { subscriptionId: endpoint && new Set(letters.map(({ subscriptionId }) => subscriptionId)).size > 1 ? "" : letters[0].subscriptionId })}>
    ${number(letters.length)}</a>` : "0"), kind: "number" },
  { title: "Why", cell: ({ letters: [latest] }) =>
    (latest ? html`<span class="reason">${latest.lastAttempt?.status} ${latest.lastAttempt?.detail}</span>`
    : html`<span class="faint">see its page</span>`) },
  { title: "URL", cell: ({ endpoint }) => (endpoint ? html`<span class="break">${endpoint.url}${endpoint.path ?? ""}</span>` : "–") },
];

/** Endpoints that rest or fail, and whoever has dead letters. */
function receivers(health, letters, subscriptions) {
  const of = (fits) => {
    const ids = new Set(subscriptions.filter(fits).map(({ id }) => id));
    return letters.filter(({ subscriptionId }) => ids.has(subscriptionId));
  };
  const endpoints = health.map((endpoint) => ({ id: endpoint.id, endpoint, letters: of(({ action }) => action.webhookEndpointId === endpoint.id) }));
  const others = subscriptions.filter(({ action }) => action.type !== "webhook").map((subscription) =>
    ({ id: subscription.id, subscription, letters: of(({ id }) => id === subscription.id) }));
  return [...endpoints.filter(({ endpoint, letters: own }) => troubled(endpoint) || own.length > 0), ...others.filter(({ letters: own }) => own.length > 0)];
}

/** What stands there if no receiver is in trouble, as far as is known. */
function answering(endpoints, health) {
  const known = health.filter(({ now }) => now).length;
  if (!endpoints.data) return "Nothing is known of the endpoints.";
  if (health.length === 0) return html`There is no webhook endpoint yet. <a href="#/webhook-endpoints/new">Create one</a>.`;
  if (known < health.length) return `${known} of ${count(health.length, "endpoint")} are healthy; nothing is known of the others.`;
  if (beyond(endpoints)) return `The first ${known} endpoints are healthy; the others were not looked at.`;
  return known === 1 ? "The one endpoint is healthy." : `All ${known} endpoints are healthy.`;
}

function Receivers({ data: { endpoints, health, dead } }) {
  const subscriptions = useItems("subscriptions");
  if (endpoints.denied) return html`<${Section} title="Receivers in trouble"><${Denied} operation=${endpoints.denied} what="The list of endpoints" /><//>`;
  const letters = dead.data?.items ?? [];
  const sick = receivers(health, letters, subscriptions);
  const told = new Set(sick.flatMap((one) => one.letters.map(({ id }) => id)));
  // Until the subscriptions have come, it is not known whose they are.
  const rest = subscriptions.length > 0 || !may("listSubscriptions") ? letters.filter(({ id }) => !told.has(id)).length : 0;
  return html`<${Section} title="Receivers in trouble" actions=${html`<a href="#/webhook-endpoints">All endpoints</a>`}>
    <${Trouble} problem=${endpoints.problem} title="Endpoints" />
    <${Table} items=${sick} columns=${RECEIVER_COLUMNS} label="Receivers in trouble" empty=${html`<p>${answering(endpoints, health)}</p>`} />
    ${rest > 0 && html`<p><a href="#/dead-letters">${count(rest, "dead letter")}</a> of receivers that do not stand here.</p>`}
    ${dead.data?.nextCursor && html`<p class="faint">Counted: the latest ${letters.length} dead letters.</p>`}
  <//>`;
}

const QUEUE_COLUMNS = [
  { title: "Queue", cell: (one) => html`<${Ref} type="queue" id=${one.id} name=${one.name} /> ${one.paused && html`<${State} is="paused" />`}` },
  { title: "Lag", cell: ({ now, id }) => (now ? html`<a href=${to("queues", id)}>${number(now.lag)}</a>` : "–"), kind: "number" },
  { title: "Waiting", cell: ({ now, id }) => (now ? html`<a href=${to("deliveries", { queueId: id, state: "waiting" })}>${number(now.waiting)}</a>` : "–"),
    kind: "number" },
  { title: "Oldest waits", cell: ({ now }) => (now?.oldestWaitingSeconds === undefined ? "–" : duration(now.oldestWaitingSeconds)), kind: "number" },
  { title: "Delivered/s", cell: ({ now, id }) =>
    (now ? html`<a href=${to("deliveries", { queueId: id, state: "succeeded" })}>${number(now.deliveredPerSecond)}</a>` : "–"), kind: "number" },
  { title: "Failed/s", cell: ({ now, id }) =>
    (now ? html`<a href=${to("deliveries", { queueId: id, state: "waiting" })}>${number(now.failedPerSecond)}</a>` : "–"), kind: "number" },
];

function Queues({ data: { queues, queueNumbers } }) {
  if (queues.denied) return html`<${Section} title="Queues"><${Denied} operation=${queues.denied} what="Queues" /><//>`;
  return html`<${Section} title="Queues"><${Trouble} problem=${queues.problem} title="Queues" />
    <${Table} items=${queueNumbers} columns=${QUEUE_COLUMNS} label="Queues"
      empty=${html`<p>${queues.data
      ? html`There is no queue yet. <a href="#/queues/new">Create one</a>.` : "Nothing is known of the queues."}</p>`} />
    ${beyond(queues) && html`<p>These are the first ${LOOKED_AT}. <a href="#/queues">All queues</a></p>`}<//>`;
}

function UnderWay({ data: { billRuns, replays } }) {
  const runs = billRuns.data?.items ?? [];
  const open = (replays.data?.items ?? []).filter(({ state }) => ["collecting", "delivering"].includes(state));
  return html`<${Section} title="Under way">
    ${[["The bill runs", billRuns], ["The replays", replays]].map(([what, { denied, problem }]) =>
      (denied ? html`<${Denied} operation=${denied} what=${what} />` : html`<${Trouble} problem=${problem} title=${what} />`))}
    ${billRuns.data && runs.length === 0 && html`<p>No <a href="#/bill-runs">bill run</a> is under way.</p>`}
    ${replays.data && open.length === 0 && html`<p>No <a href="#/replays">replay</a> is under way.</p>`}
    <ul class="plainlist">${runs.map((run) =>
      html`<li key=${run.id}><a href=${to("bill-runs", run.id)}>Bill run of ${run.billingDate}
      </a> <${Progress} of=${run.accounts / Math.max(1, run.accounts + (run.accountsLeft ?? 0))} label="Accounts billed" /> ${count(run.invoices,
      "invoice")}, ${number(run.failed)} failed</li>`)}
    ${open.map((replay) => html`<li key=${replay.id}>
      <a href=${to("replays", replay.id)}>Replay</a> <${Progress} of=${replay.progress} label="Window scanned"
      /> ${number(replay.delivered)} of ${number(replay.matched)} delivered</li>`)}</ul>
  <//>`;
}

function Parts({ ready }) {
  if (!ready.data) return null;
  const items = Object.entries(ready.data.parts).map(([name, part]) => ({ id: name, ...part }));
  const columns = [{ title: "Part", cell: ({ id }) => id }, { title: "State", cell: ({ status }) => html`<${State} is=${status} />` },
    { title: "Since", cell: ({ since }) => html`<${Time} at=${since} />` },
    { title: "What is wrong", cell: ({ detail }) => detail || html`<span class="faint">nothing</span>` }];
  return html`<${Section} title="Parts of this process" actions=${html`<a href="readyz">readyz</a>`}>
    <details><summary>${items.every(({ status }) => status === "ok") ? `All ${items.length} are as they should be` : "Some need attention"}</summary>
    <${Table} items=${items} columns=${columns} label="Parts" /></details><//>`;
}
