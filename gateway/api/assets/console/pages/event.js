// One event: its whole story as a path, its deliveries, its data.
import { call } from "../api.js";
import { html } from "../html.js";
import { count, milliseconds } from "../format.js";
import { optional, useLoad } from "../load.js";
import { to } from "../router.js";
import { Loading, Trouble } from "../parts/notice.js";
import { Changes } from "../parts/changes.js";
import { Facts, Head, Id, Json, Ref, Section, State, Time } from "../parts/show.js";

/** The second that a moment is in, as a window: forms take whole seconds. */
function second(text) {
  const from = Math.floor(new Date(text).getTime() / 1000) * 1000;
  return { from: new Date(from).toISOString(), to: new Date(from + 1000).toISOString() };
}

export function Event({ id }) {
  const load = useLoad(async () => {
    const event = await call("getEvent", { path: { event: id } });
    const [explained, transaction] = await Promise.all([
      optional(call("explainEvent", { path: { event: event.id } })),
      optional(call("getBusinessTransaction", { path: { businessTransaction: event.transactionid } })),
    ]);
    return { event, explained, transaction: transaction.data };
  }, [id]);
  if (load.loading) return html`<${Loading} what="Loading the event" />`;
  if (load.problem) return html`<${Head} kind="Event" title=${id} up="#/events" /><${Trouble} problem=${load.problem} title="Event" again=${load.again} />`;
  const { event, explained, transaction } = load.data;
  const { before, after, parameters, object } = event.data;
  return html`<${Head} kind="Events" up="#/events" title=${event.type} ><button type="button" onClick=${load.again}>Look again</button><//>
    <${Summary} event=${event} transaction=${transaction} />
    <${Section} title="Its way" actions=${html`<a href=${to("replays", "new", { eventType: event.type, ...second(event.time) })}>
      Replay events of this type from that second</a>`}>
      <${Trouble} problem=${explained.problem} title="The event’s way" />
      ${explained.data && html`<${Way} event=${event} explained=${explained.data} />`}
    <//>
    <${Section} title="What changed" note=${`${object.type}, ${object.action}, version ${object.version}`}><${Changes} before=${before} after=${after} /><//>
    <${Section} title="Parameters" note="What templates, filters and receivers can use."><${Json} value=${parameters} label="Parameters" /><//>
    <${Section} title="The message"><${Json} value=${event} label="The message as on the stream" /><//>`;
}

function Summary({ event, transaction }) {
  const account = transaction?.account ?? event.data.parameters?.["account.id"];
  return html`<${Facts} of=${[
    ["Time", html`<${Time} at=${event.time} precise />`],
    event.recordedtime && ["Recorded later", html`<${Time} at=${event.recordedtime} precise />`],
    ["Event id", html`<${Id} of=${event.id} whole />`],
    ["Object", html`${event.data.object.type} <${Ref} type=${event.data.object.type} id=${event.subject} /> · <a href=${to("events",
      { objectId: event.subject })}>its events</a>`],
    account && ["Account", html`<${Ref} type="account" id=${account} name=${event.data.parameters?.["account.name"]} /> · <a href=${to("events",
      { account })}>its events</a>`],
    ["Transaction", html`<${Ref} type="businessTransaction" id=${event.transactionid} />
      ${event.transactionsize && html` <span class="faint">event ${event.transactionindex} of ${event.transactionsize}</span>`}`],
    ["Caused by", html`${event.operation ?? "–"} ${event.actor && html`<span class="faint">by ${event.actor}</span>`}`],
    event.causationid && ["Derived from", html`<${Ref} type="event" id=${event.causationid} />`],
    ["Ordering key", html`<a href=${to("events", { key: event.partitionkey })}>${event.partitionkey}
      </a> <span class="faint">number ${Number(event.sequence)}</span>`],
    transaction?.events.length > 1
      && ["Neighbours", html`<ul class="plainlist">
      ${transaction.events.filter(({ id }) => id !== event.id).map((other) => html`<li><a href=${to("events", other.id)}>${other.type}</a></li>`)}</ul>`],
  ]} />`;
}

/** One step of the way. */
const Step = ({ kind = "", title, at, children }) =>
  html`<li class="step ${kind}"><div class="stephead"><strong>${title}</strong>${at && html`<span class="faint"><${Time} at=${at} precise /></span>`}</div>
  ${children}</li>`;

function Way({ event, explained }) {
  const { onStream, inWarehouse, setAside, queues, furtherDeliveries = [] } = explained;
  const reached = queues.filter(({ registered }) => registered);
  const passed = queues.filter(({ registered }) => !registered);
  return html`<ol class="way">
    <${Step} kind="good" title="Accepted and recorded" at=${event.recordedtime ?? event.time}>
      <p>${event.operation ?? "An operation"} was committed; the event is number ${Number(event.sequence)} of its ordering key.</p>
    <//>
    ${setAside && html`<${Step} kind="bad" title="Set aside">
      <p>The event, or an earlier one of its ordering key, is too large for the stream. <a href="#/set-aside">See set-aside events</a>.</p><//>`}
    ${!setAside && html`<${Step} kind=${onStream ? "good" : "warn"} title=${onStream ? "On the stream" : "Not on the stream"}>
      <p>${onStream ? "The event is published and kept." : "It waits to be published, or is older than the stream’s retention."}</p><//>`}
    ${reached.map((queue) => html`<${QueueStep} key=${queue.queueId} queue=${queue} />`)}
    ${furtherDeliveries.length > 0
      && html`<${Step} title="Replays and deleted subscriptions">${furtherDeliveries.map((delivery) => html`<${Delivered} delivery=${delivery} />`)}<//>`}
    ${passed.length > 0 && html`<${Step} kind="off" title=${`Not registered on ${count(passed.length, "queue")}`}>
      <p>${passed.map((queue, i) => html`${i > 0 && ", "}<a href=${to("queues", queue.queueId)}>${queue.name}</a>`)}</p><//>`}
    <${Step} kind=${inWarehouse ? "good" : "warn"} title=${inWarehouse ? "In the warehouse" : "Not yet in the warehouse"} />
  </ol>`;
}

function QueueStep({ queue }) {
  const states = queue.subscriptions.map(({ delivery, verdict }) => delivery?.state ?? verdict);
  const bad = states.some((state) => ["dead", "blocking", "filterFailed"].includes(state));
  const warn = queue.paused || states.some((state) => ["waiting", "pending", "held"].includes(state));
  return html`<${Step} kind=${bad ? "bad" : warn ? "warn" : "good"} title=${html`Queue <a href=${to("queues", queue.queueId)}>${queue.name}</a>`}>
    ${queue.paused && html`<p><${State} is="paused" /> Its events wait until the queue is resumed.</p>`}
    ${queue.subscriptions.length === 0
      && html`<p>No subscription uses the queue. <a href=${to("subscriptions", "new", { queueId: queue.queueId })}>Create one</a>.</p>`}
    <ul class="verdicts">${queue.subscriptions.map((met) => html`<li key=${met.subscriptionId}>
      <div><${Ref} type="subscription" id=${met.subscriptionId} name=${met.name} /> ${!met.delivery && html`<${State} is=${met.verdict} />`}</div>
      ${met.reason && html`<p class="reason">${met.reason}</p>`}
      ${met.delivery && html`<${Delivered} delivery=${met.delivery} />`}
    </li>`)}</ul>
  <//>`;
}

/** A delivery in a line: its state, its latest attempt, and what is ahead. */
export function Delivered({ delivery }) {
  const last = delivery.lastAttempt ?? delivery.attempts?.at(-1);
  return html`<p class="delivered"><${State} is=${delivery.state} /> <a href=${to("deliveries", delivery.id)}>${count(delivery.attemptCount, "attempt")}</a>
    ${last && html`, the latest <${Time} at=${last.at} precise />
      ${last.status && html` answered <strong>${last.status}</strong>`} after ${milliseconds(last.latencyMs)}`}
    ${last?.detail && html`: <span class="reason">${last.detail}</span>`}
    ${delivery.nextAttemptAt && html` Next attempt <${Time} at=${delivery.nextAttemptAt} age />.`}
    ${delivery.replayId && html` Of a <${Ref} type="replay" id=${delivery.replayId} name="replay" />.`}</p>`;
}
