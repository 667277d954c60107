// The events, newest first.
import { html } from "../html.js";
import { useEventTypes } from "../names.js";
import { to } from "../router.js";
import { Filters, FROM_TO } from "../parts/filter.js";
import { List } from "../parts/list.js";
import { Empty } from "../parts/notice.js";
import { Head, Id, Ref, Time } from "../parts/show.js";

export const EVENT_COLUMNS = [
  { title: "Time", cell: (event) => html`<${Time} at=${event.time} precise />`, kind: "nowrap" },
  { title: "Type", cell: (event) => html`<a href=${to("events", event.id)}>${event.type}</a>`, kind: "type" },
  { title: "Object", cell: (event) => html`${event.data?.object?.type ?? "object"} <${Ref} type=${event.data?.object?.type} id=${event.subject} />` },
  { title: "Ordering key", cell: (event) =>
    html`<a href=${to("events", { key: event.partitionkey })} title=${event.partitionkey}>${event.partitionkey.slice(-12)}
    </a> <span class="faint">no. ${Number(event.sequence)}</span>` },
  { title: "Caused by", cell: (event) => html`${event.operation ?? "–"}${event.actor && html` <span class="faint">by ${event.actor}</span>`}` },
  { title: "Id", cell: (event) => html`<${Id} of=${event.id} />`, kind: "nowrap" },
];

/** Suggestions for fields that take an event type. */
export function EventTypeNames() {
  const types = useEventTypes();
  return html`<datalist id="event-types">${types.map(({ name, title }) => html`<option value=${name}>${title}</option>`)}</datalist>`;
}

const FILTERS = [
  { name: "type", label: "Type or pattern", type: "eventType", example: "invoice.*" },
  { name: "account", label: "Account (id or external id)" },
  { name: "objectId", label: "Object id" },
  { name: "key", label: "Ordering key" },
  ...FROM_TO,
];

export function Events({ query }) {
  return html`<${Head} kind="Flow" title="Events" /><${EventTypeNames} />
    <${Filters} fields=${FILTERS} label="Filter events" />
    <${List} operation="listEvents" query=${query} columns=${EVENT_COLUMNS} label="Events"
      empty=${html`<${Empty} title="No event fits">Change or clear the filters. New events appear once an operation changes something.<//>`} />`;
}
