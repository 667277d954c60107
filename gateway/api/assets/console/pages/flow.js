// The way of a message, drawn: accepted, stream, matched, delivered and warehouse.
import { html } from "../html.js";
import { clock, count, duration, number } from "../format.js";
import { to } from "../router.js";
import { Time } from "../parts/show.js";

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

const LATE_SECONDS = 60;

export function Flow({ data: { ready, queues, queueNumbers, dead, setAside, newest, explained, health }, history }) {
  const parts = ready.data?.parts;
  const known = queueNumbers.map(({ now }) => now).filter(Boolean);
  const sum = (name) => known.reduce((total, one) => total + one[name], 0);
  const oldest = Math.max(0, ...known.map(({ oldestWaitingSeconds = 0 }) => oldestWaitingSeconds));
  const fresh = newest && clock() - new Date(newest.recordedtime ?? newest.time).getTime() < 10_000;
  const accepted = worst(parts, ["database", "storage", "due"]);
  const matched = worst(parts, ["consumers"]);
  const sick = health.some(({ enabled, now }) => !enabled || (now && now.state !== "healthy"));
  const letters = dead.data?.items.length ?? 0;
  const paused = (queues.data?.items ?? []).filter((queue) => queue.paused).length;
  const late = newest && explained && !explained.inWarehouse && !fresh;
  return html`<section class="section flowbox" aria-labelledby="way"><h2 id="way" class="hidden">The way of a message</h2><ol class="flow">
    <${Stage} title="Accepted" state=${accepted} kind=${ready.data?.status === "down" ? "bad"
      : accepted.kind} numbers=${[newest && ["Newest event", html`<a href=${to("events", newest.id)}><${Time} at=${newest.time} /></a>`],
      ["Transactions", html`<a href="#/transactions">see them</a>`]]} />
    <${Stage} title="Stream" state=${worst(parts, ["outbox", "nats", "stream", "setAside"])} numbers=${[newest && explained
      && ["Newest event", html`<a href=${to("events", newest.id)}>${explained.onStream ? "published" : fresh ? "on its way" : "not there"}</a>`],
      setAside.data && ["Set aside", html`<a href="#/set-aside">${number(setAside.data.items.length)}${setAside.data.nextCursor ? "+" : ""}</a>`]]} />
    <${Stage} title="Matched" state=${matched} kind=${matched.kind === "good" && paused ? "warn"
      : matched.kind} numbers=${[["Lag", html`<a href="#/queues">${count(sum("lag"), "event")}</a>`],
      ["Queues", html`<a href="#/queues">${known.length}${paused ? `, ${paused} paused` : ""}</a>`]]} />
    <li class="fork"><ol>
      <${Stage} title="Delivered" state=${{ kind: letters || sick || oldest > LATE_SECONDS ? "warn" : known.length ? "good" : "" }} numbers=${[
        ["Waiting", html`<a href=${to("deliveries", { state: "waiting" })}>${number(sum("waiting"))}</a>`],
          ["Oldest waits", html`<a href=${to("deliveries", { state: "waiting" })}>${oldest ? duration(oldest) : "–"}</a>`],
        dead.data && ["Dead letters", html`<a href="#/dead-letters">${number(letters)}${dead.data.nextCursor ? "+" : ""}</a>`],
        ["Per second", html`<a href=${to("deliveries", { state: "succeeded" })}>${number(sum("deliveredPerSecond"))}
          </a>, failed <a href=${to("deliveries", { state: "waiting" })}>${number(sum("failedPerSecond"))}</a>`],
        history.length > 2 && ["Since you look", html`<${Spark} points=${history} />`]]} />
      <${Stage} title="Warehouse" state=${worst(parts, ["consumers"])} kind=${late ? "warn"
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
