// Business transactions: the list, and one with before and after.
import { call } from "../api.js";
import { html } from "../html.js";
import { words } from "../format.js";
import { optional, useLoad } from "../load.js";
import { to } from "../router.js";
import { Changes } from "../parts/changes.js";
import { Filters, FROM_TO } from "../parts/filter.js";
import { List } from "../parts/list.js";
import { Empty, Loading, Trouble } from "../parts/notice.js";
import { Facts, Head, Id, Ref, Section, State, Time } from "../parts/show.js";
import { Delivered } from "./event.js";

export const TRANSACTION_COLUMNS = [
  { title: "Time", cell: (one) => html`<${Time} at=${one.occurredAt} precise />`, kind: "nowrap" },
  { title: "Operation", cell: (one) => html`<a href=${to("transactions", one.id)}>${one.operation}</a>` },
  { title: "By", cell: (one) => one.actor },
  { title: "Account", cell: (one) => (one.account ? html`<${Ref} type="account" id=${one.account} />` : html`<span class="faint">–</span>`) },
  { title: "Changed", cell: (one) => one.entities.map(({ type, action }) => `${words(type)} ${action}`).join(", ") },
  { title: "Events", cell: (one) =>
    (one.events.length ? html`<ul class="plainlist">
    ${one.events.slice(0, 6).map((event) => html`<li><a href=${to("events", event.id)}>${event.type}</a></li>`)}
    ${one.events.length > 6 && html`<li class="faint">and ${one.events.length - 6} more</li>`}</ul>` : html`<span class="faint">none</span>`), kind: "type" },
];

const FILTERS = [
  { name: "operation", label: "Operation", example: "startBillRun" },
  { name: "account", label: "Account (id or external id)" },
  { name: "objectId", label: "Object id" },
  ...FROM_TO,
];

export function Transactions({ query }) {
  return html`<${Head} kind="Flow" title="Business transactions" />
    <${Filters} fields=${FILTERS} label="Filter transactions" />
    <${List} operation="listBusinessTransactions" query=${query} columns=${TRANSACTION_COLUMNS} label="Business transactions"
      empty=${html`<${Empty} title="No transaction fits">Change or clear the filters.<//>`} />`;
}

export function Transaction({ id }) {
  const load = useLoad(() => call("getBusinessTransaction", { path: { businessTransaction: id } }), [id]);
  if (load.loading) return html`<${Loading} what="Loading the transaction" />`;
  if (load.problem) return html`<${Head} kind="Business transactions" title=${id} up="#/transactions" />
    <${Trouble} problem=${load.problem} title="Business transaction" again=${load.again} />`;
  const { data } = load;
  return html`<${Head} kind="Business transactions" up="#/transactions" title=${data.operation} />
    <${Facts} of=${[
      ["Time", html`<${Time} at=${data.occurredAt} precise />`],
      data.recordedAt && ["Recorded later", html`<${Time} at=${data.recordedAt} precise />`],
      ["By", data.actor],
      data.account && ["Account", html`<${Ref} type="account" id=${data.account} /> · <a href=${to("transactions",
        { account: data.account })}>its transactions</a>`],
      ["Transaction id", html`<${Id} of=${data.id} whole />`],
      ["Like it", html`<a href=${to("transactions", { operation: data.operation })}>other calls of ${data.operation}</a>`],
    ]} />
    <${Section} title="What changed">
      ${data.entities.map((entity) => html`<article class="card" key=${entity.id}>
        <h3>${words(entity.type)} <${Ref} type=${entity.type} id=${entity.id} name=${entity.after?.name
          ?? entity.before?.name} /> <${State} is=${entity.action} /> <span class="faint">version ${entity.version}</span></h3>
        <p class="faint"><a href=${to("transactions", { objectId: entity.id })}>All transactions of this object</a></p>
        <${Changes} before=${entity.before} after=${entity.after} />
      </article>`)}
    <//>
    <${Section} title="Its events">
      ${data.events.length === 0 && html`<${Empty} title="No events">The operation changes configuration, or changed nothing.<//>`}
      <ol class="way">${data.events.map((event) => html`<${EventWay} key=${event.id} event=${event} />`)}</ol>
    <//>`;
}

/** An event of the transaction, with what became of it. */
function EventWay({ event }) {
  const { data } = useLoad(() => optional(call("explainEvent", { path: { event: event.id }, quiet: true })), [event.id]);
  const deliveries = [...(data?.data?.queues ?? []).flatMap(({ subscriptions }) => subscriptions),
    ...(data?.data?.furtherDeliveries ?? []).map((delivery) => ({ delivery }))].filter(({ delivery }) => delivery);
  const bad = deliveries.some(({ delivery }) => ["dead", "blocking"].includes(delivery.state));
  return html`<li class="step ${bad ? "bad" : data?.data?.onStream ? "good" : ""}">
    <div class="stephead"><a href=${to("events", event.id)}><strong>${event.type}</strong></a></div>
    ${data?.problem && html`<p class="faint">${data.problem.detail}</p>`}
    ${data?.data && deliveries.length === 0 && html`<p class="faint">No subscription receives it.</p>`}
    ${deliveries.map(({ name, delivery }) =>
      html`<div key=${delivery.id}>${name && html`<${Ref} type="subscription" id=${delivery.subscriptionId} name=${name} />`}
      <${Delivered} delivery=${delivery} /></div>`)}
  </li>`;
}
