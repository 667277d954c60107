// Replays: a window of the past to one subscription, counted first, then sent.
import { call, fresh } from "../api.js";
import { html, useRef, useState } from "../html.js";
import { count, fromLocalInput, localInput, number } from "../format.js";
import { useLoad } from "../load.js";
import { useNames } from "../names.js";
import { go, to } from "../router.js";
import { Action, Go } from "../parts/dialog.js";
import { List } from "../parts/list.js";
import { Empty, Loading, Trouble } from "../parts/notice.js";
import { AsCurl } from "../parts/curl.js";
import { Facts, Head, Ref, Section, State, Time } from "../parts/show.js";
import { EventTypeNames } from "./events.js";

function Subscription({ id }) {
  return html`<${Ref} type="subscription" id=${id} name=${useNames("subscriptions").get(id)} />`;
}

export const Progress = ({ of, label }) =>
  html`<span class="progress"><progress max="1" value=${of} aria-label=${label}></progress> ${Math.round(of * 100)} %</span>`;

const COLUMNS = [
  { title: "Created", cell: (one) => html`<a href=${to("replays", one.id)}><${Time} at=${one.createdAt} /></a>`, kind: "nowrap" },
  { title: "Subscription", cell: (one) => html`<${Subscription} id=${one.subscriptionId} />` },
  { title: "State", cell: (one) => html`<${State} is=${one.state} />${one.dryRun && html` <span class="faint">only counted</span>`}` },
  { title: "Window", cell: (one) => html`<${Time} at=${one.from} /> to <${Time} at=${one.to} />` },
  { title: "Matched", cell: (one) => number(one.matched), kind: "number" },
  { title: "Delivered", cell: (one) => (one.dryRun ? "–" : number(one.delivered)), kind: "number" },
];

export function Replays() {
  return html`<${Head} kind="Mend" title="Replays"><${Go} operation="replayEvents" href="#/replays/new" label="New replay" primary /><//>
    <p>A replay sends the events of a past time to one subscription again, with the same bytes and ids.</p>
    <${List} operation="listReplays" columns=${COLUMNS} label="Replays"
      empty=${html`<${Empty} title="No replay yet">Start one after a receiver has lost events: <a href="#/replays/new">new replay</a>.<//>`} />`;
}

/** The form. It counts first; only then it offers to send. */
export function NewReplay({ query }) {
  const [state, setState] = useState({});
  const names = useNames("subscriptions");
  const key = useRef(fresh());
  const submit = async (event) => {
    event.preventDefault();
    const { subscription, from, until, types } = event.target.elements;
    const eventTypes = types.value.split(/[\s,]+/).filter(Boolean);
    const body = { subscriptionId: subscription.value, from: fromLocalInput(from.value), ...(until.value && { to: fromLocalInput(until.value) }),
      ...(eventTypes.length && { eventTypes }), dryRun: true };
    setState({ busy: true });
    try {
      const replay = await call("replayEvents", { body, idempotencyKey: key.current });
      go(to("replays", replay.id));
    } catch (problem) {
      key.current = fresh();
      setState({ problem });
    }
  };
  const at = (pointer) => state.problem?.errors?.find((one) => one.pointer === pointer)?.message;
  const field = (id, label, input, pointer) =>
    html`<div class="field ${at(pointer) ? "wrong" : ""}"><label for=${id}>${label}</label>${input}
    ${at(pointer) && html`<p class="problem">${at(pointer)}</p>`}</div>`;
  return html`<${Head} kind="Replays" up="#/replays" title="New replay" /><${EventTypeNames} />
    <p>The events are counted first and nothing is sent. You then see how many there are, and decide.</p>
    <form class="form" onSubmit=${submit}>
      <${Trouble} problem=${state.problem} title="Counting" />
      ${field("subscription", "Subscription",
        html`<select id="subscription" name="subscription" required><option value="">Choose…</option>
        ${[...names].map(([id, name]) => html`<option value=${id} selected=${query.subscriptionId === id}>${name}</option>`)}</select>`, "/subscriptionId")}
      ${field("from", "From (your time, inclusive)",
        html`<input id="from" name="from" type="datetime-local" step="1" required defaultValue=${localInput(query.from)} />`, "/from")}
      ${field("until", "To (your time, exclusive; empty: now)",
        html`<input id="until" name="until" type="datetime-local" step="1" defaultValue=${localInput(query.to)} />`, "/to")}
      ${field("types", "Event types (empty: all that the subscription selects)",
        html`<input id="types" name="types" list="event-types" defaultValue=${query.eventType ?? ""} />`, "/eventTypes")}
      <div class="buttons"><button type="submit" class="primary" disabled=${state.busy}>${state.busy ? "Starting…" : "Count the events"}</button></div>
    </form>`;
}

const RUNNING = ["collecting", "delivering"];

export function Replay({ id }) {
  const load = useLoad(() => call("getReplay", { path: { replay: id } }), [id], 2000);
  const names = useNames("subscriptions");
  if (load.loading) return html`<${Loading} what="Loading the replay" />`;
  if (!load.data) return html`<${Head} kind="Replays" title=${id} up="#/replays" /><${Trouble} problem=${load.problem} title="Replay" again=${load.again} />`;
  const one = load.data;
  const name = names.get(one.subscriptionId) ?? "the subscription";
  const order = { subscriptionId: one.subscriptionId, from: one.from, to: one.to, ...(one.eventTypes?.length && { eventTypes: one.eventTypes }) };
  const events = count(one.matched, "event");
  const running = RUNNING.includes(one.state);
  return html`<${Head} kind="Replays" up="#/replays" title=${one.dryRun ? `Replay to ${name}, only counted` : `Replay to ${name}`}>
      ${one.dryRun && one.state === "completed"
        && html`<${Action} operation="replayEvents" given=${{ body: order }} label=${`Send ${events}`} primary disabled=${one.matched === 0}
        why="No event matches" told="The replay has started." done=${(replay) => go(to("replays", replay.id))}
        says=${html`<p>Sends <strong>${events}</strong> from <${Time} at=${one.from} /> to <${Time} at=${one.to} /> to <strong>${name}
          </strong> again. The receiver sees the same ids as before and can tell repeats by them.</p>`} />`}
      ${running && html`<${Action} operation="cancelReplay" given=${{ path: { replay: id }, body: {} }} label="Cancel the replay" danger done=${load.again}
        told="The replay is cancelled."
        says=${html`<p>Stops the replay to <strong>${name}
        </strong>. The ${count(one.waiting, "event")} not sent yet will be discarded; what was sent stays sent.</p>`} />`}
    <//>
    <${Trouble} problem=${load.problem} title="Looking again" />
    <div role="status" aria-live="polite">
      <p><${State} is=${one.state} /> ${running && html`<${Progress} of=${one.progress} label="Scanned part of the window" />`} ${one.dryRun && !running
      && html`<strong>${events} would be sent.</strong>`}</p></div>
    <${Facts} of=${[
      ["Subscription", html`<${Ref} type="subscription" id=${one.subscriptionId} name=${names.get(one.subscriptionId)} />`],
      ["Window", html`<${Time} at=${one.from} /> to <${Time} at=${one.to} />`],
      one.eventTypes?.length && ["Event types", one.eventTypes.join(", ")],
      ["Looked at", count(one.lookedAt, "event")],
      ["Matched", events],
      ...(one.dryRun ? [] : [["Delivered", number(one.delivered)], ["Waiting", number(one.waiting)], ["Dead letters", number(one.dead)],
        ["Discarded", number(one.discarded)]]),
      ["Created", html`<${Time} at=${one.createdAt} />`],
    ]} />
    ${one.dryRun ? html`<${Section} title="Not sent">
      <p>Nothing has been sent. ${one.matched === 0
      ? html`<a href=${to("replays", "new", { subscriptionId: one.subscriptionId, from: one.from })}>Count another window</a>.` : ""}</p>
      <${AsCurl} operation="replayEvents" given=${{ body: order }} /><//>`
      : html`<p><a href=${to("deliveries", { replayId: id })}>See its deliveries</a></p>`}`;
}
