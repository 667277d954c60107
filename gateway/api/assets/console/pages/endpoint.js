// One webhook endpoint: its health, what fails and why, a test, its secret, and how receivers verify.
import { all, call } from "../api.js";
import { html, useState } from "../html.js";
import { count, milliseconds } from "../format.js";
import { KINDS } from "../kinds.js";
import { optional, useLoad } from "../load.js";
import { forgetNames, useEventTypes } from "../names.js";
import { scopeOf, useMay } from "../session.js";
import { to } from "../router.js";
import { Action } from "../parts/dialog.js";
import { Table } from "../parts/list.js";
import { Empty, Loading, Trouble } from "../parts/notice.js";
import { HealthState } from "../parts/routing.js";
import { Secretive } from "../parts/secret.js";
import { Facts, Head, Ref, Section, State, Text, Time } from "../parts/show.js";
import { Both } from "./dead_letters.js";
import { DELIVERY_COLUMNS } from "./deliveries.js";
import { EditAndDelete, FieldFacts, useEntity } from "./entity.js";
import { Recipe } from "./recipe.js";

const LATEST = 10;

/** The endpoint's subscriptions, each with its latest dead letters and waiting deliveries. */
async function fetchTraffic(id) {
  const [health, list] = await Promise.all([
    optional(call("getWebhookEndpointHealth", { path: { webhookEndpoint: id } })),
    optional(all("listSubscriptions")),
  ]);
  const own = (list.data?.items ?? []).filter(({ action }) => action.webhookEndpointId === id);
  const of = async (subscription) => {
    const [dead, waiting] = await Promise.all([
      optional(call("listDeadLetters", { query: { subscriptionId: subscription.id, limit: 200 } })),
      optional(call("listDeliveries", { query: { subscriptionId: subscription.id, state: "waiting", limit: LATEST } })),
    ]);
    return { subscription, dead: dead.data?.items ?? [], deadMore: Boolean(dead.data?.nextCursor), waiting: waiting.data?.items ?? [], problem: dead.problem
      ?? waiting.problem };
  };
  const subscriptions = await Promise.all(own.map(of));
  return { health: health.data, problem: health.problem ?? list.problem, known: Boolean(list.data), more: list.data?.more, subscriptions };
}

export function Endpoint({ id }) {
  const kind = KINDS["webhook-endpoints"];
  const load = useEntity(kind, id, 5000);
  const found = load.data?.object.id;
  const traffic = useLoad(() => (found ? fetchTraffic(found) : {}), [found], 5000);
  if (load.loading) return html`<${Loading} what="Loading the endpoint" />`;
  if (!load.data) return html`<${Head} kind=${kind.title} title=${id} up=${to(kind.path)} />
    <${Trouble} problem=${load.problem} title="Webhook endpoint" again=${load.again} />`;
  const { object: one, etag } = load.data;
  const again = () => (forgetNames(), load.again(), traffic.again());
  const path = { webhookEndpoint: one.id };
  return html`<${Head} kind=${kind.title} up=${to(kind.path)} title=${one.name}>
      ${one.enabled
        ? html`<${Action} operation="disableWebhookEndpoint" given=${{ path, body: {} }} label="Disable" done=${again} told="The endpoint is disabled."
          says=${html`<p>Stops all calls to <strong>${one.name}</strong> (${one.url}). Its deliveries wait until it is enabled.</p>`} />`
        : html`<${Action} operation="enableWebhookEndpoint" given=${{ path, body: {} }} label="Enable" primary done=${again} told="The endpoint is enabled."
          says=${html`<p>Calls <strong>${one.name}</strong> (${one.url}) again, beginning with what has waited.</p>`} />`}
      <${EditAndDelete} kind=${kind} object=${one} etag=${etag} />
    <//>
    <${Trouble} problem=${load.problem} title="Looking again" />
    <p class="lead"><${HealthState} endpoint=${one} health=${traffic.data?.health} /></p>
    <${Traffic} traffic=${traffic} again=${again} />
    <${Test} endpoint=${one} />
    <${Section} title="Settings"><${FieldFacts} kind=${kind} object=${one} />
      ${one.headerNames?.length > 0 && html`<p>Headers sent: ${one.headerNames.join(", ")}</p>`}<//>
    <${Signing} endpoint=${one} done=${again} />`;
}

function Traffic({ traffic, again }) {
  const { data, problem } = traffic;
  if (problem) return html`<${Section} title="Deliveries"><${Trouble} problem=${problem} title="Deliveries" /><//>`;
  if (!data?.subscriptions) return html`<${Section} title="Deliveries"><${Loading} /><//>`;
  return html`<${Section} title="Deliveries">
    <${Trouble} problem=${data.problem} title="Deliveries" />
    ${data.more && html`<p class="faint">Only the first 1 000 subscriptions were looked at.</p>`}
    ${data.known && !data.more && data.subscriptions.length === 0
      && html`<${Empty} title="No subscription calls this endpoint"><a href=${to("subscriptions", "new")}>Create a subscription</a> to send it events.<//>`}
    ${data.subscriptions.map((one) => html`<${OfSubscription} key=${one.subscription.id} ...${one} again=${again} />`)}
  <//>`;
}

function OfSubscription({ subscription, dead, deadMore, waiting, problem, again }) {
  const reasons = [...new Set([...dead, ...waiting].map(({ lastAttempt }) => lastAttempt?.detail || (lastAttempt?.status && `status ${lastAttempt.status}`)).filter(Boolean))];
  const n = `${deadMore ? "more than " : ""}${count(dead.length, "dead letter")}`;
  return html`<article class="card">
    <h3><${Ref} type="subscription" id=${subscription.id} name=${subscription.name} /> ${dead.length > 0
      ? html`<a href=${to("dead-letters", { subscriptionId: subscription.id })}><${State} is="dead">${n}<//></a>`
      : html`<${State} is="ok">no dead letters<//>`}</h3>
    <${Trouble} problem=${problem} title="Deliveries" />
    ${reasons.length > 0 && html`<p><strong>Why:</strong> ${reasons.slice(0, 3).map((reason) => html`<span class="reason">${reason}</span> `)}</p>`}
    ${dead.length > 0 && html`<div class="toolbar"><${Both} body=${{ subscriptionId: subscription.id }} many
        says=${`They go to ${subscription.name}.`} done=${again} /></div>
      <${Table} items=${dead.slice(0, 5)} columns=${DELIVERY_COLUMNS.filter(({ title }) => title !== "Subscription")}
        label=${`Latest dead letters of ${subscription.name}`} />
      ${dead.length > 5 && html`<p><a href=${to("dead-letters", { subscriptionId: subscription.id })}>All dead letters of ${subscription.name}</a></p>`}`}
    ${waiting.length > 0 && html`<p>
      <a href=${to("deliveries", { subscriptionId: subscription.id, state: "waiting" })}>
      ${waiting.length === LATEST ? `${LATEST} or more` : waiting.length} waiting</a></p>`}
    <p><a href=${to("deliveries", { subscriptionId: subscription.id })}>All deliveries</a></p>
  </article>`;
}

function Test({ endpoint }) {
  const types = useEventTypes();
  const may = useMay();
  const [state, setState] = useState({});
  const test = async (event) => {
    event.preventDefault();
    const eventType = event.target.elements.type.value;
    setState({ busy: true });
    try {
      setState({ result: await call("testWebhookEndpoint", { path: { webhookEndpoint: endpoint.id }, body: { eventType } }) });
    } catch (problem) {
      setState({ problem });
    }
  };
  if (!may("testWebhookEndpoint")) return html`<${Section} title="Test it">
    <p class="denied">A test needs the scope <code>${scopeOf("testWebhookEndpoint")}</code>.</p><//>`;
  const { result } = state;
  return html`<${Section} title="Test it" note="Sends the example of an event type once, signed, as a delivery would be.">
    <form class="inline" onSubmit=${test}>
      <div class="field"><label for="testtype">Event type</label>
      <select id="testtype" name="type">${types.map(({ name }) => html`<option value=${name}>${name}</option>`)}</select></div>
      <button type="submit" disabled=${state.busy || types.length === 0}>${state.busy ? "Sending…" : "Send a test"}</button></form>
    <div role="status" aria-live="polite"><${Trouble} problem=${state.problem} title="Test" />
      ${result && html`<${Facts} of=${[["Result",
        html`<${State} is=${result.delivered ? "ok" : "failed"}>${result.delivered ? "accepted" : "not accepted"}<//>`], ["Status", result.status],
        ["Detail", result.detail], ["Took", milliseconds(result.latencyMs)], ["Id sent", html`<code>${result.eventId}</code>`]]} />`}</div>
    ${result?.request && html`<details class="card"><summary>Request and answer</summary>
      <${Text} label="Test request" text=${[`POST ${result.request.url}`,
      ...result.request.headers.map(({ name, value }) => `${name}: ${value}`)].join("\n")} />
      ${result.response && html`<${Text} label="Test answer" text=${[result.status, ...result.response.headers.map(({ name, value }) => `${name}: ${value}`),
        "", result.response.body].join("\n")} />`}</details>`}
  <//>`;
}

const KEY_COLUMNS = [
  { title: "Algorithm", cell: ({ algorithm }) => algorithm },
  { title: "Since", cell: ({ createdAt }) => html`<${Time} at=${createdAt} />` },
  { title: "Until", cell: ({ expiresAt }) => (expiresAt ? html`<${Time} at=${expiresAt} age />` : "in use") },
  { title: "Public key", cell: ({ publicKey }) => (publicKey ? html`<code class="break">${publicKey}</code>` : "–") },
];

function Signing({ endpoint, done }) {
  const algorithm = endpoint.signing[0]?.algorithm;
  const keys = algorithm === "ed25519";
  const rotate = html`<${Secretive} operation="rotateWebhookSecret" given=${{ path: { webhookEndpoint: endpoint.id }, body: {} }}
    label=${keys ? "Rotate the key pair" : "Rotate the secret"} done=${done}
    says=${html`<p>Makes a new ${keys ? "key pair" : "signing secret"} for <strong>${endpoint.name}
      </strong>. For one day, calls are signed with the old one too, so that the receiver can switch. ${keys
      ? "The new public key is shown then, and on this page." : "The new secret is shown once."}</p>`} />`;
  return html`<${Section} title="Signature" actions=${rotate}>
    <${Table} items=${endpoint.signing} columns=${KEY_COLUMNS} label="Signing keys" />
    <${Recipe} algorithm=${algorithm} /><//>`;
}
