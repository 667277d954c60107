// How queues, actions and endpoints are shown wherever they are named.
import { call } from "../api.js";
import { html } from "../html.js";
import { count, duration, number } from "../format.js";
import { optional, useLoad } from "../load.js";
import { useNames } from "../names.js";
import { to } from "../router.js";
import { Trouble } from "./notice.js";
import { Facts, Ref, Section, State, Time } from "./show.js";

export function QueueOf({ id }) {
  return html`<${Ref} type="queue" id=${id} name=${useNames("queues").get(id)} />`;
}

/** What a subscription does with an event. */
export function ActionOf({ action }) {
  const [endpoints, templates, queues] = [useNames("endpoints"), useNames("templates"), useNames("queues")];
  switch (action.type) {
    case "webhook":
      return html`webhook to <${Ref} type="webhookEndpoint" id=${action.webhookEndpointId} name=${endpoints.get(action.webhookEndpointId)} />
        ${action.path ?? ""}`;
    case "email":
      return html`e-mail <${Ref} type="notificationTemplate" id=${action.notificationTemplateId} name=${templates.get(action.notificationTemplateId)}
        /> to ${action.to?.slice(0, 3).join(", ")}${action.to?.length > 3 ? ` and ${action.to.length - 3} more` : ""}`;
    case "forward":
      return html`forward to <${Ref} type="queue" id=${action.queueId} name=${queues.get(action.queueId)} />`;
    default:
      return html`${action.type} ${action.eventType}`;
  }
}

/** An endpoint's state: disabled, or as its calls go. */
export function Health({ endpoint }) {
  const { data } = useLoad(() => optional(call("getWebhookEndpointHealth", { path: { webhookEndpoint: endpoint.id }, quiet: true })), [endpoint.id], 15_000);
  return html`<${HealthState} endpoint=${endpoint} health=${data?.data} />`;
}

export function HealthState({ endpoint, health }) {
  if (!endpoint.enabled) return html`<${State} is="disabled" /> ${endpoint.disabledBecause && html`<span class="faint">${endpoint.disabledBecause}</span>`}`;
  if (!health) return html`<span class="faint">unknown</span>`;
  return html`<${State} is=${health.state} /> ${health.failures > 0
    && html`<span class="faint">${count(health.failures, "failure")}${health.failingSince && html`, since <${Time} at=${health.failingSince} />`}</span>`}
    ${health.restsUntil && html` <span class="faint">until <${Time} at=${health.restsUntil} /></span>`}`;
}

/** The numbers of a queue, live. */
export function QueueState({ queue }) {
  const load = useLoad(() => call("getQueueStatistics", { path: { queue: queue.id } }), [queue.id], 3000);
  const one = load.data;
  return html`<${Section} title="Now"><${Trouble} problem=${load.problem} title="Statistics" />${one && html`<${Facts} of=${[
    ["Waiting", html`<a href=${to("deliveries", { queueId: queue.id, state: "waiting" })}>${count(one.waiting, "delivery", "deliveries")}</a>`],
    ["Oldest waiting", one.oldestWaitingSeconds !== undefined ? duration(one.oldestWaitingSeconds) : "none"],
    ["Lag", `${count(one.lag, "event")} not taken in`],
    ["Delivered", `${number(one.deliveredPerSecond)} per second`],
    ["Failed", `${number(one.failedPerSecond)} per second`],
  ]} />`}<//>`;
}
