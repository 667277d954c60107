// The dead letters: redriven or discarded one by one, by choice, or all that fit the filter.
import { all } from "../api.js";
import { html, useState } from "../html.js";
import { count } from "../format.js";
import { optional, useLoad } from "../load.js";
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

/** How many dead letters fit, counted up to 2 000. */
export const countDeadLetters = async (query) => {
  const { items, more } = await all("listDeadLetters", { query, most: 2000, quiet: true });
  return { n: items.length, more, text: `${more ? "more than " : ""}${count(items.length, "dead letter")}` };
};

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
      ${ids.length > 0 && html`<${Both} body=${{ ids }} n=${`${count(ids.length, "dead letter")}`} says=${receivers(picked, names)} done=${done} />
        <button type="button" onClick=${selection.clear}>Select none</button>`}
      ${bulk && html`<${Both} body=${filter} n=${total.text} many says=${Object.keys(filter).length ? "These are all that fit the filter."
        : "These are all dead letters of this tenant."} limit=${total.more} done=${done} />
        <button type="button" onClick=${() => selection.set(loaded.slice(0, 1000).map(({ id }) => id))}>Select the shown</button>`}
    </div>
    <${Trouble} problem=${counted.data?.problem?.status === 403 ? null : counted.data?.problem} title="Counting" />
    <${List} operation="listDeadLetters" query=${filter} columns=${DELIVERY_COLUMNS} label="Dead letters" selection=${selection} keep=${setLoaded}
      empty=${html`<${Empty} title="No dead letters">
      ${Object.keys(filter).length ? html`Nothing fits the filter. <a href="#/dead-letters">Show all</a>.`
      : html`Every delivery has arrived or is on its way. <a href="#/deliveries">See deliveries</a>.`}<//>`} />`;
}

function receivers(picked, names) {
  const to = [...new Set(picked.map(({ subscriptionId }) => names.get(subscriptionId) ?? subscriptionId))];
  return to.length > 0 ? `They go to ${to.slice(0, 5).join(", ")}${to.length > 5 ? ` and ${to.length - 5} more` : ""}.` : "";
}

/** Redrive and discard, for the same choice. */
export function Both({ body, n, says, many = false, limit: more = false, done }) {
  const limit = more && html`<p class="faint">One call takes up to 10 000, oldest first.</p>`;
  return html`<${Action} operation="redriveDeadLetters" given=${{ body }} label=${many ? "Redrive all"
    : "Redrive"} title=${`Redrive ${n}`} primary done=${done} told=${({ deliveries }) => `${count(deliveries, "dead letter")} redriven.`}
      says=${html`<p>Sends <strong>${n}</strong> again, each with a new retry plan. Deliveries that wait behind a blocked ordering key follow.</p>
        <p>${says}</p>${limit}`} />
    <${Action} operation="discardDeadLetters" given=${{ body }} label=${many ? "Discard all"
      : "Discard"} title=${`Discard ${n}`} danger done=${done} told=${({ deliveries }) => `${count(deliveries, "dead letter")} discarded.`}
      says=${html`<p>Discards <strong>${n}
        </strong> for good: the receivers will not get these events, except by a replay. A blocked ordering key continues with its next delivery.</p>
        <p>${says}</p>${limit}`} />`;
}
