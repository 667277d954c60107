// The way of a message, drawn: accepted, stream, matched, delivered and warehouse.
import { html } from "../html.js";
import { count, duration, number } from "../format.js";
import { to } from "../router.js";
import { Time } from "../parts/show.js";
import { beyond, findings, LOOKED_AT, many } from "./findings.js";

const worst = (parts, names) => {
  const states = names.map((name) => parts?.[name]).filter(Boolean);
  const found = states.find(({ status }) => status === "down") ?? states.find(({ status }) => status === "degraded");
  const detail = states.filter(({ status }) => status !== "ok").map((part) => part.detail).join(" ");
  return { kind: !parts ? "" : found ? (found.status === "down" ? "bad" : "warn") : "good", detail };
};

/** A stage: its state, its numbers as links, and the sentence of what is wrong. */
function Stage({ title, state, numbers, kind = state.kind }) {
  const word = { good: "ok", warn: "look here", bad: "at risk" }[kind] ?? "unknown";
  return html`<li class="stage ${kind}"><h3>${title} <span class="state ${kind}">${word}</span></h3>
    <dl>${numbers.filter(Boolean).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    ${state.detail && html`<p class="stagedetail">${state.detail}</p>`}</li>`;
}

/** The stage of deliveries: it is good only where all is known that it goes by. */
function delivering({ queues, queueNumbers, endpoints, health, dead }, { letters, sick, waits, known }) {
  const whole = queues.data && endpoints.data && dead.data && known.length > 0 && [...queueNumbers, ...health].every(({ now }) => now);
  const limited = [queues, endpoints].some(beyond);
  return { kind: letters || sick || waits ? "warn" : whole ? "good" : "",
    detail: limited && `Looked at: the first ${LOOKED_AT} queues and endpoints.` };
}

export function Flow({ data, history }) {
  const { ready, queues, dead, setAside, newest, explained: { data: explained } } = data;
  const parts = ready.data?.parts;
  const found = findings(data);
  const { sum, fresh, oldest, letters, paused, behind, unloaded, known } = found;
  const accepted = worst(parts, ["database", "storage", "due"]);
  const matched = worst(parts, ["consumers"]);
  return html`<section class="section flowbox" aria-labelledby="way"><h2 id="way" class="hidden">The way of a message</h2><ol class="flow">
    <${Stage} title="Accepted" state=${accepted} kind=${ready.data?.status === "down" ? "bad"
      : accepted.kind} numbers=${[newest && ["Newest event", html`<a href=${to("events", newest.id)}><${Time} at=${newest.time} /></a>`],
      ["Transactions", html`<a href="#/transactions">see them</a>`]]} />
    <${Stage} title="Stream" state=${worst(parts, ["outbox", "nats", "stream", "setAside"])} numbers=${[newest && explained
      && ["Newest event", html`<a href=${to("events", newest.id)}>${explained.onStream ? "published" : fresh ? "on its way" : "not there"}</a>`],
      setAside.data && ["Set aside", html`<a href="#/set-aside">${number(setAside.data.items.length)}${setAside.data.nextCursor ? "+" : ""}</a>`]]} />
    <${Stage} title="Matched" state=${matched} kind=${matched.kind === "good" && (paused || behind) ? "warn"
      : matched.kind} numbers=${[known.length > 0 && ["Lag", html`<a href="#/queues">${count(sum("lag"), "event")}</a>`],
      queues.data && ["Queues", html`<a href="#/queues">${many(queues)}${paused ? `, ${paused} paused` : ""}</a>`]]} />
    <li class="fork"><ol>
      <${Stage} title="Delivered" state=${delivering(data, found)} numbers=${[
        known.length > 0 && ["Waiting", html`<a href=${to("deliveries", { state: "waiting" })}>${number(sum("waiting"))}</a>`],
          known.length > 0 && ["Oldest waits", html`<a href=${to("deliveries", { state: "waiting" })}>${oldest ? duration(oldest) : "–"}</a>`],
        dead.data && ["Dead letters", html`<a href="#/dead-letters">${number(letters)}${dead.data.nextCursor ? "+" : ""}</a>`],
        known.length > 0 && ["Per second", html`<a href=${to("deliveries", { state: "succeeded" })}>${number(sum("deliveredPerSecond"))}
          </a>, failed <a href=${to("deliveries", { state: "waiting" })}>${number(sum("failedPerSecond"))}</a>`],
        history.length > 2 && ["Since you look", html`<${Spark} points=${history} />`]]} />
      <${Stage} title="Warehouse" state=${worst(parts, ["consumers"])} kind=${unloaded ? "warn"
        : matched.kind} numbers=${[newest && explained
        && ["Newest event", html`<a href=${to("events", newest.id)}>${explained.inWarehouse ? "loaded" : fresh ? "on its way" : "not loaded"}</a>`]]} />
    </ol></li>
  </ol></section>`;
}

/** What was delivered and failed since the page was opened. */
function Spark({ points }) {
  const [width, height] = [120, 28];
  const top = Math.max(0.01, ...points.flatMap(({ delivered, failed }) => [delivered, failed]));
  const line = (name) => points.map((point, i) =>
    `${((i / (points.length - 1)) * width).toFixed(1)},${(height - 2 - (point[name] / top) * (height - 4)).toFixed(1)}`).join(" ");
  const last = points.at(-1);
  return html`<svg class="spark" viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height} role="img"
    aria-label=${`Delivered per second now ${number(last.delivered)}, highest ${number(top)}`}>
    <polyline class="delivered" points=${line("delivered")} /><polyline class="failed" points=${line("failed")} /></svg>`;
}
