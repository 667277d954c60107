// One delivery: each attempt with request and answer, and the retry plan ahead.
import { call } from "../api.js";
import { html } from "../html.js";
import { count, duration, milliseconds } from "../format.js";
import { optional, useLoad } from "../load.js";
import { to } from "../router.js";
import { Action } from "../parts/dialog.js";
import { Table } from "../parts/list.js";
import { Loading, Trouble } from "../parts/notice.js";
import { Facts, Head, Id, Json, Ref, Section, State, Text, Time } from "../parts/show.js";

const DEAD = ["dead", "blocking"];

async function fetchDelivery(id) {
  const delivery = await call("getDelivery", { path: { delivery: id } });
  const [subscription, event, queue] = await Promise.all([
    optional(call("getSubscription", { path: { subscription: delivery.subscriptionId } })),
    optional(call("getEvent", { path: { event: delivery.eventId } })),
    optional(call("getQueue", { path: { queue: delivery.queueId } })),
  ]);
  const endpointId = subscription.data?.action.webhookEndpointId;
  const endpoint = endpointId ? await optional(call("getWebhookEndpoint", { path: { webhookEndpoint: endpointId } })) : {};
  return { delivery, subscription: subscription.data, event, queue: queue.data, endpoint: endpoint.data };
}

export function Delivery({ id }) {
  const load = useLoad(() => fetchDelivery(id), [id], 5000);
  if (load.loading) return html`<${Loading} what="Loading the delivery" />`;
  if (!load.data) return html`<${Head} kind="Deliveries" title=${id} up="#/deliveries" />
    <${Trouble} problem=${load.problem} title="Delivery" again=${load.again} />`;
  const { delivery, subscription, event, queue, endpoint } = load.data;
  const names = { subscription: subscription?.name ?? "the subscription" };
  return html`<${Head} kind="Deliveries" up="#/deliveries" title=${html`${delivery.eventType} to ${names.subscription}`}>
    <${Mend} delivery=${delivery} to=${endpoint?.name ?? names.subscription} done=${load.again} /><//>
    <${Trouble} problem=${load.problem} title="Looking again" />
    <${Facts} of=${[
      ["State", html`<${State} is=${delivery.state} />`],
      ["Event", html`<a href=${to("events", delivery.eventId)}>${delivery.eventType}</a>`],
      ["Subscription", html`<${Ref} type="subscription" id=${delivery.subscriptionId} name=${subscription?.name} />`],
      ["Queue", html`<${Ref} type="queue" id=${delivery.queueId} name=${queue?.name} />`],
      endpoint && ["Webhook endpoint",
        html`<${Ref} type="webhookEndpoint" id=${endpoint.id} name=${endpoint.name} /> <span class="faint">${endpoint.url}${endpoint.path ?? ""}</span>`],
      ["Ordering key", html`<a href=${to("deliveries", { orderingKey: delivery.orderingKey })}>${delivery.orderingKey}
        </a> <span class="faint">number ${delivery.sequence}</span>`],
      ["First recorded", html`<${Time} at=${delivery.createdAt} precise />`],
      delivery.replayId && ["Replay", html`<${Ref} type="replay" id=${delivery.replayId} />`],
      ["Delivery id", html`<${Id} of=${delivery.id} whole />`],
      ["Neighbours", html`<a href=${to("deliveries", { subscriptionId: delivery.subscriptionId })}>same subscription</a> · <a href=${to("deliveries",
        { eventType: delivery.eventType })}>same type</a> · <a href=${to("deliveries", { orderingKey: delivery.orderingKey })}>same ordering key</a>`],
    ]} />
    <${Ahead} delivery=${delivery} endpoint=${endpoint} />
    <${Section} title=${count(delivery.attemptCount, "attempt")}>
      ${(delivery.attempts ?? []).length === 0 && html`<p class="faint">No attempt is kept.</p>`}
      ${[...(delivery.attempts ?? [])].reverse().map((attempt, i) => html`<${Attempt} key=${attempt.number} attempt=${attempt} open=${i === 0} />`)}
    <//>
    ${delivery.recipients?.length > 0
      && html`<${Section} title="Recipients"><${Table} items=${delivery.recipients} label="Recipients" columns=${RECIPIENTS} /><//>`}
    <${Section} title="The message"><${Trouble} problem=${event.problem} title="The message" />
      ${event.data && html`<${Json} value=${event.data} label="The message that is sent" />`}<//>`;
}

const RECIPIENTS = [
  { title: "Address", cell: (one) => one.address },
  { title: "State", cell: (one) => html`<${State} is=${one.state} />` },
  { title: "Status", cell: (one) => one.status ?? "–" },
  { title: "Answer", cell: (one) => one.detail },
  { title: "Time", cell: (one) => html`<${Time} at=${one.at} />` },
];

function Mend({ delivery, to: receiver, done }) {
  const path = { delivery: delivery.id };
  const dead = DEAD.includes(delivery.state);
  if (!dead && delivery.state !== "waiting") return null;
  return html`<${Action} operation="retryDelivery" given=${{ path, body: {} }} label="Retry now" primary done=${done} told="The delivery is tried now."
      says=${html`<p>Sends 1 delivery of <strong>${delivery.eventType}</strong> to <strong>${receiver}
        </strong> now${dead ? ", and starts a new retry plan if it fails" : ", ahead of its plan"}.</p>`} />
    ${dead && html`<${Action} operation="discardDeadLetters" given=${{ body: { ids: [delivery.id] } }} label="Discard" danger done=${done}
      told="The dead letter is discarded."
      says=${html`<p>Discards 1 dead letter for good: <strong>${receiver}</strong> will not get this ${delivery.eventType}, except by a replay.</p>
        ${delivery.state === "blocking" && html`<p>The next events of its ordering key are then delivered.</p>`}`} />`}`;
}

/** The attempts to come, as far as the endpoint's plan is known. */
function Ahead({ delivery, endpoint }) {
  if (delivery.state !== "waiting") return null;
  if (!delivery.nextAttemptAt) return html`<${Section} title="Ahead">
    <p>It waits for an earlier delivery of the same ordering key. <a href=${to("deliveries",
    { orderingKey: delivery.orderingKey, subscriptionId: delivery.subscriptionId, state: "waiting" })}>See what waits</a>.</p><//>`;
  const waits = (endpoint?.retryWaits ?? []).slice(delivery.attemptCount);
  return html`<${Section} title="Ahead"><ol class="ahead"><li>Attempt ${delivery.attemptCount + 1}: <${Time} at=${delivery.nextAttemptAt} age /></li>
    ${waits.map((seconds, i) => html`<li>Attempt ${delivery.attemptCount + 2 + i}: ${duration(seconds)} later</li>`)}</ol>
    <p class="faint">${endpoint?.retryWaits ? "Then it becomes a dead letter." : "After that, the installation’s retry plan applies."}</p><//>`;
}

function Attempt({ attempt, open }) {
  const good = attempt.status >= 200 && attempt.status < 300;
  return html`<details class="card attempt" open=${open}>
    <summary><strong>Attempt ${attempt.number}</strong> <${State} is=${good || (!attempt.status && !attempt.detail) ? "succeeded" : "failed"}>
      ${attempt.status ?? (attempt.detail ? "no answer" : "done")}<//> <${Time} at=${attempt.at} precise /> <span class="faint">
      ${milliseconds(attempt.latencyMs)}</span> ${attempt.detail && html`<span class="reason">${attempt.detail}</span>`}</summary>
    <div class="exchange">
      <div><h3>Request</h3>${attempt.request
        ? html`<p><code class="break">POST ${attempt.request.url}</code></p>
        <${Headers} of=${attempt.request.headers} label=${`Request headers of attempt ${attempt.number}`} />
        <p class="faint">The body is the message below.</p>`
        : html`<p class="faint">Not kept: it was not a webhook call, no call was made, or its retention has ended.</p>`}</div>
      <div><h3>Answer</h3>${attempt.response
        ? html`<p><strong>${attempt.status}</strong>${attempt.response.truncated && html` <span class="faint">shortened</span>`}</p>
        <${Headers} of=${attempt.response.headers} label=${`Answer headers of attempt ${attempt.number}`} />
        <${Text} text=${attempt.response.body || "(empty body)"} label=${`Answer body of attempt ${attempt.number}`} />`
        : html`<p>${attempt.detail || html`<span class="faint">None is kept.</span>`}</p>`}</div>
    </div>
  </details>`;
}

const Headers = ({ of, label }) => html`<${Text} text=${of.map(({ name, value }) => `${name}: ${value}`).join("\n") || "(no headers)"} label=${label} />`;
