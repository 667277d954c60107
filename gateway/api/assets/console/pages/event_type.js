// One event type: what it is, its parameters, an example, its schema.
import { html } from "../html.js";
import { KINDS } from "../kinds.js";
import { to } from "../router.js";
import { Table } from "../parts/list.js";
import { Loading, Trouble } from "../parts/notice.js";
import { PARAMETER_COLUMNS } from "../parts/parameters.js";
import { Facts, Head, Json, Section } from "../parts/show.js";
import { EditAndDelete, useEntity } from "./entity.js";

export function EventType({ id }) {
  const kind = KINDS["event-types"];
  const load = useEntity(kind, id);
  if (load.loading) return html`<${Loading} what="Loading the event type" />`;
  if (!load.data) return html`<${Head} kind=${kind.title} title=${id} up=${to(kind.path)} />
    <${Trouble} problem=${load.problem} title="Event type" again=${load.again} />`;
  const { object: one, etag } = load.data;
  return html`<${Head} kind=${kind.title} up=${to(kind.path)} title=${one.name}>
    ${one.registered && html`<${EditAndDelete} kind=${kind} object=${{ ...one, id: one.name }} etag=${etag} />`}<//>
    <p class="lead">${one.title}</p><p>${one.description}</p>
    <${Facts} of=${[["Caused by", one.trigger], ["Family", one.family], ["Object", one.source], ["Ordering key", one.orderingKey], one.aliases.length > 0
      && ["Also known as", one.aliases.join(", ")], ["Version", one.version],
      ["See", html`<a href=${to("events", { type: one.name })}>its events</a> · <a href=${to("deliveries", { eventType: one.name })}>its deliveries</a>`]]} />
    <${Section} title="Parameters"><${Table} items=${one.parameters} columns=${PARAMETER_COLUMNS} rowKey=${({ name }) => name} label="Parameters" /><//>
    ${one.example && html`<${Section} title="Example"><${Json} value=${one.example} label="Example message" /><//>`}
    ${one.schema && html`<${Section} title="JSON Schema"><details><summary>Show the schema</summary><${Json} value=${one.schema} label="JSON Schema" />
      </details><//>`}`;
}
