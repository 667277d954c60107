// The dead letters: redriven or discarded one by one, by choice, or all that fit the filter.
import { all, call } from "../api.js";
import { html, useState } from "../html.js";
import { count } from "../format.js";
import { optional, useLoad } from "../load.js";
import { lacksScope, may } from "../session.js";
import { Action } from "../parts/dialog.js";
import { Filters, FROM_TO } from "../parts/filter.js";
import { List, useSelection } from "../parts/list.js";
import { Empty, Trouble } from "../parts/notice.js";
import { Head } from "../parts/show.js";
import { useNames } from "../names.js";
import { DELIVERY_COLUMNS } from "./deliveries.js";
import { EventTypeNames } from "./events.js";

const FILTERS = [
  { name: "subscriptionId", label: "Subscription", names: "subscriptions" },
  { name: "queueId", label: "Queue", names: "queues" },
  { name: "eventType", label: "Event type or pattern", type: "eventType", example: "invoice.*" },
  ...FROM_TO,
];

// What one call takes, by a filter and by ids.
const AT_ONCE = 10_000;
const IDS_AT_ONCE = 1000;

/** How many dead letters fit: as many as one call would take, or up to 2 000 for who may not redrive. */
const countDeadLetters = async (query) => {
  if (may("redriveDeadLetters")) {
    const { deliveries } = await call("redriveDeadLetters", { body: { ...query, dryRun: true }, quiet: true });
    const more = deliveries >= AT_ONCE;
    return { n: deliveries, more, text: `${more ? "at least " : ""}${count(deliveries, "dead letter")}` };
  }
  const { items, more } = await all("listDeadLetters", { query, most: 2000, quiet: true });
  return { n: items.length, more, text: `${more ? "more than " : ""}${count(items.length, "dead letter")}` };
};

/** The dead letters that fit now: named by their ids, if one call takes as many, so that it does what was said; else by the filter. */
async function choose(filter) {
  const { items, more } = await all("listDeadLetters", { query: filter, most: IDS_AT_ONCE, quiet: true });
  if (more || items.length > IDS_AT_ONCE) return { ...await countDeadLetters(filter), body: filter };
  return { n: items.length, more: false, text: count(items.length, "dead letter"), body: { ids: items.map(({ id }) => id) } };
}

export function DeadLetters({ query }) {
  const [turn, setTurn] = useState(0);
  const filter = Object.fromEntries(FILTERS.map(({ name }) => [name, query[name]]).filter(([, value]) => value));
  return html`<${Head} kind="Mend" title="Dead letters" /><${EventTypeNames} />
    <p>Deliveries that were given up on after their last attempt. Mend the cause first, then redrive: each starts a new retry plan. What is discarded is not sent.</p>
    <${Filters} fields=${FILTERS} label="Filter dead letters" />
    <${Chosen} key=${`${JSON.stringify(filter)}${turn}`} filter=${filter} again=${() => setTurn(turn + 1)} />`;
}

function Chosen({ filter, again }) {
  const selection = useSelection(({ eventType, createdAt }) => `${eventType} of ${createdAt}`);
  const [loaded, setLoaded] = useState([]);
  const counted = useLoad(() => optional(countDeadLetters(filter)), []);
  const names = useNames("subscriptions");
  const total = counted.data?.data;
  const ids = [...selection.picked];
  const picked = loaded.filter(({ id }) => selection.has(id));
  const done = ({ deliveries }) => deliveries !== undefined && setTimeout(again, 400);
  const bulk = total?.n > 0 && ids.length === 0;
  return html`<div class="toolbar" role="region" aria-label="Mend">
      <span role="status" aria-live="polite">
        ${ids.length > 0 ? `${count(ids.length, "dead letter")} selected` : total
        ? `${total.text} ${Object.keys(filter).length ? "fit the filter" : "in all"}` : ""}</span>
      ${ids.length > 0 && html`<${Both} body=${{ ids }} says=${receivers(picked, names)} done=${done} />
        <button type="button" onClick=${selection.clear}>Select none</button>`}
      ${bulk && html`<${Both} body=${filter} many says=${Object.keys(filter).length ? "These are all that fit the filter."
        : "These are all dead letters of this tenant."} done=${done} />
        <button type="button" onClick=${() => selection.set(loaded.slice(0, 1000).map(({ id }) => id))}>Select the shown</button>`}
    </div>
    <${Trouble} problem=${lacksScope(counted.data?.problem) ? null : counted.data?.problem} title="Counting" />
    <${List} operation="listDeadLetters" query=${filter} columns=${DELIVERY_COLUMNS} label="Dead letters" selection=${selection} keep=${setLoaded}
      empty=${html`<${Empty} title="No dead letters">
      ${Object.keys(filter).length ? html`Nothing fits the filter. <a href="#/dead-letters">Show all</a>.`
      : html`Every delivery has arrived or is on its way. <a href="#/deliveries">See deliveries</a>.`}<//>`} />`;
}

function receivers(picked, names) {
  const to = [...new Set(picked.map(({ subscriptionId }) => names.get(subscriptionId) ?? subscriptionId))];
  return to.length > 0 ? `They go to ${to.slice(0, 5).join(", ")}${to.length > 5 ? ` and ${to.length - 5} more` : ""}.` : "";
}

const MENDS = [
  { operation: "redriveDeadLetters", word: "Redrive", done: "redriven", primary: true, says: (n) =>
    html`<p>Sends <strong>${n}</strong> again, each with a new retry plan. Deliveries that wait behind a blocked ordering key follow.</p>` },
  { operation: "discardDeadLetters", word: "Discard", done: "discarded", danger: true, says: (n) =>
    html`<p>Discards <strong>${n}
      </strong> for good: the receivers will not get these events, except by a replay. A blocked ordering key continues with its next delivery.</p>` },
];

/** Redrive and discard, for the same choice: the ids in `body`, or with `many` all that fit the filter in it, counted when the dialog opens. */
export function Both({ body, says, many = false, done }) {
  const prepared = async (one) => {
    const { n, text, more, body: chosen } = await choose(body);
    if (n === 0) return { nothing: true, title: `${one.word} nothing`, says: html`<p>No dead letter is left.</p>` };
    const late = !chosen.ids && html`<p>Those that come meanwhile are included.</p>`;
    const limit = more && html`<p class="faint">One call takes up to 10 000, oldest first.</p>`;
    return { given: { body: chosen }, title: `${one.word} ${text}`, says: html`${one.says(text)}<p>${says}</p>${late}${limit}` };
  };
  return MENDS.map((one) => {
    const told = ({ deliveries }) => `${count(deliveries, "dead letter")} ${one.done}.`;
    const common = { operation: one.operation, primary: one.primary, danger: one.danger, done, told };
    if (many) return html`<${Action} key=${one.word} ...${common} label=${`${one.word} all`} prepare=${() => prepared(one)} />`;
    const n = count(body.ids.length, "dead letter");
    return html`<${Action} key=${one.word} ...${common} label=${one.word} given=${{ body }} title=${`${one.word} ${n}`} says=${html`${one.says(n)}
      <p>${says}</p>`} />`;
  });
}
