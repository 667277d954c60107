// The deliveries, newest first.
import { html, useState } from "../html.js";
import { milliseconds, number } from "../format.js";
import { useNames } from "../names.js";
import { to } from "../router.js";
import { Bulk } from "../parts/bulk.js";
import { Filters, FROM_TO } from "../parts/filter.js";
import { List, useSelection } from "../parts/list.js";
import { Empty } from "../parts/notice.js";
import { Head, Ref, State, Time } from "../parts/show.js";
import { EventTypeNames } from "./events.js";

function Subscription({ id }) {
  return html`<${Ref} type="subscription" id=${id} name=${useNames("subscriptions").get(id)} />`;
}

/** What the latest attempt brought. */
function Outcome({ delivery: { lastAttempt: last, nextAttemptAt } }) {
  if (!last) return html`<span class="faint">no attempt yet</span>`;
  return html`${last.status && html`<strong>${last.status}</strong> `}
    <span class="reason">${last.detail}</span> <span class="faint">${milliseconds(last.latencyMs)}</span>
    ${nextAttemptAt && html` Next <${Time} at=${nextAttemptAt} />`}`;
}

export const DELIVERY_COLUMNS = [
  { title: "First recorded", cell: (one) => html`<a href=${to("deliveries", one.id)}><${Time} at=${one.createdAt} precise /></a>`, kind: "nowrap" },
  { title: "State", cell: (one) => html`<${State} is=${one.state} />` },
  { title: "Event", cell: (one) => html`<a href=${to("events", one.eventId)}>${one.eventType}</a>`, kind: "type" },
  { title: "Subscription", cell: (one) => html`<${Subscription} id=${one.subscriptionId} />` },
  { title: "Attempts", cell: (one) => number(one.attemptCount), kind: "number" },
  { title: "Latest result", cell: (one) => html`<${Outcome} delivery=${one} />`, kind: "wide" },
];

export const STATES = [["waiting", "Waiting"], ["succeeded", "Succeeded"], ["dead", "Dead letter"], ["blocking", "Dead letter, blocks its key"],
  ["discarded", "Discarded"]];

const FILTERS = [
  { name: "state", label: "State", options: STATES },
  { name: "subscriptionId", label: "Subscription", names: "subscriptions" },
  { name: "queueId", label: "Queue", names: "queues" },
  { name: "eventType", label: "Event type or pattern", type: "eventType", example: "invoice.*" },
  { name: "orderingKey", label: "Ordering key" },
  { name: "status", label: "Status code", example: "503" },
  ...FROM_TO,
];

export function Deliveries({ query }) {
  const [turn, setTurn] = useState(0);
  return html`<${Head} kind="Flow" title="Deliveries" /><${EventTypeNames} />
    <${Filters} fields=${FILTERS} label="Filter deliveries" />
    <${Chosen} key=${`${JSON.stringify(query)}${turn}`} query=${query} again=${() => setTurn(turn + 1)} />`;
}

const OPEN = ["waiting", "dead", "blocking"];

/** The list, whose waiting and dead ones can be picked and retried. */
function Chosen({ query, again }) {
  const selection = useSelection(({ eventType, createdAt }) => `${eventType} of ${createdAt}`);
  const [loaded, setLoaded] = useState([]);
  const picked = loaded.filter(({ id, state }) => selection.has(id) && OPEN.includes(state));
  const open = loaded.filter(({ state }) => OPEN.includes(state));
  return html`${open.length > 0 && html`<div class="toolbar" role="region" aria-label="Mend">
      <span role="status" aria-live="polite">
        ${selection.picked.size > 0 ? `${selection.picked.size} selected, ${picked.length} of them can be retried`
        : `${open.length} of the shown can be retried`}</span>
      ${picked.length > 0 && html`<${Bulk} operation="retryDelivery" items=${picked} given=${({ id }) =>
        ({ path: { delivery: id }, body: {} })} label="Retry" noun="delivery" nouns="deliveries" done=${again}
        says="Each is tried now, one call each. A dead letter starts a new retry plan. One that waits behind another of its ordering key is refused." />`}
      <button type="button" onClick=${() => selection.set(selection.picked.size > 0 ? [] : open.map(({ id }) => id))}>
        ${selection.picked.size > 0 ? "Select none" : "Select them"}</button>
    </div>`}
    <${List} operation="listDeliveries" query=${query} columns=${DELIVERY_COLUMNS} selection=${selection} keep=${setLoaded} label="Deliveries"
      empty=${html`<${Empty} title="No delivery fits">Change or clear the filters. A delivery is made when an event matches a <a
      href="#/subscriptions">subscription</a>.<//>`} />`;
}
