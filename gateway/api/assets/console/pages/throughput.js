// What flowed in the last hour, day or week, as columns and as a table.
import { call } from "../api.js";
import { html, useState } from "../html.js";
import { number } from "../format.js";
import { optional, useLoad } from "../load.js";
import { may } from "../session.js";
import { Table } from "../parts/list.js";
import { Denied, Trouble } from "../parts/notice.js";
import { Section, Time } from "../parts/show.js";

const EVERY_MS = 10_000;
const RANGES = [[1, "hour"], [24, "day"], [168, "week"]];
const SERIES = [["operations", "Operations"], ["events", "Events"], ["delivered", "Delivered"], ["failedAttempts", "Failed attempts"],
  ["deadLetters", "Dead letters"]];

const total = (spans, name) => spans.reduce((sum, span) => sum + span[name], 0);

export function Throughput() {
  const [hours, setHours] = useState(1);
  const load = useLoad(() => (may("getThroughput") ? optional(call("getThroughput", { query: { hours }, quiet: true })) : { denied: true }), [hours], EVERY_MS);
  const { data: spans, problem, denied } = load.data ?? {};
  const choice = html`<div class="choice" role="group" aria-label="Time shown">${RANGES.map(([value, word]) =>
    html`<button type="button" aria-pressed=${value === hours} onClick=${() => setHours(value)}>Last ${word}</button>`)}</div>`;
  return html`<${Section} title="Throughput" actions=${choice}>
    ${denied && html`<${Denied} operation="getThroughput" what="The throughput" />`}
    <${Trouble} problem=${problem ?? load.problem} title="The throughput" />
    ${spans && html`<${Shown} spans=${spans.spans} seconds=${spans.stepSeconds} />`}<//>`;
}

function Shown({ spans, seconds }) {
  const unit = { 60: "minute", 600: "ten minutes", 3600: "hour" }[seconds] ?? `${seconds} s`;
  const busy = spans.filter((span) => SERIES.some(([name]) => span[name] > 0));
  const columns = [{ title: "From", cell: ({ from }) => html`<${Time} at=${from} />` },
    ...SERIES.map(([name, title]) => ({ title, cell: (span) => number(span[name]), kind: "number" }))];
  return html`<div class="charts">
      <${Columns} spans=${spans} name="events" title="Events accepted" unit=${unit} />
      <${Columns} spans=${spans} name="delivered" title="Deliveries that succeeded" unit=${unit} />
      <${Columns} spans=${spans} name="failedAttempts" title="Attempts that failed" unit=${unit} bad />
    </div>
    <details><summary>As a table: ${SERIES.map(([name, title]) => `${number(total(spans, name))} ${title.toLowerCase()}`).join(", ")}</summary>
      <${Table} items=${busy.toReversed().map((span) => ({ id: span.from, ...span }))} columns=${columns} label="Throughput"
        empty=${html`<p>Nothing was counted in this time.</p>`} /></details>`;
}

const [WIDTH, HEIGHT] = [340, 72];

/** A column for each span; the running one is the last. */
function Columns({ spans, name, title, unit, bad }) {
  const most = Math.max(0, ...spans.map((span) => span[name]));
  const step = WIDTH / spans.length;
  const columns = spans.map((span, i) => ({ span, i, height: (span[name] / Math.max(1, most)) * (HEIGHT - 4) })).filter(({ height }) => height > 0);
  const told = `${title}: ${number(total(spans, name))}, at most ${number(most)} in a ${unit}`;
  return html`<figure class="chart"><figcaption>${title} <strong>${number(total(spans, name))}</strong></figcaption>
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${told} class=${bad ? "failed" : "delivered"}>
      <line x1="0" x2=${WIDTH} y1=${HEIGHT - 0.5} y2=${HEIGHT - 0.5} />
      ${columns.map(({ span, i, height }) => html`<rect key=${span.from} x=${(i * step).toFixed(2)} y=${(HEIGHT - height).toFixed(2)}
        width=${(step * 0.8).toFixed(2)} height=${height.toFixed(2)} />`)}
    </svg>
    <p class="faint small">at most ${number(most)} in a ${unit}</p></figure>`;
}
