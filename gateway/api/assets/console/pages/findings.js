// What of the flow needs a person, and what is not known: the verdict and the drawing go by the same.
import { clock, count, duration, number } from "../format.js";
import { html } from "../html.js";
import { lacksScope, scopeOf } from "../session.js";
import { to } from "../router.js";

// Queues and endpoints whose numbers are asked for: more would make the overview a burden.
export const LOOKED_AT = 40;

const LATE_SECONDS = 60;
// Events that a queue has not taken in: so many are too many even while new ones come.
const LAG_MUCH = 1000;
// An event needs a moment to get through.
const FRESH_MS = 10_000;

export const troubled = ({ enabled, now }) => !enabled || Boolean(now && now.state !== "healthy");

/** Whether a list has more than is looked at. */
export const beyond = ({ data }) => Boolean(data && (data.items.length > LOOKED_AT || data.nextCursor));

/** The length of a list's first page, with a plus if there are more. */
export const many = ({ data }) => `${number(data.items.length)}${data.nextCursor ? "+" : ""}`;

/** What the numbers mean, by the name of what is wrong. */
export function findings({ queues, queueNumbers, health, dead, events, newest, explained }) {
  const known = queueNumbers.map(({ now }) => now).filter(Boolean);
  const sum = (name) => known.reduce((total, one) => total + one[name], 0);
  const fresh = Boolean(newest) && clock() - new Date(newest.recordedtime ?? newest.time).getTime() < FRESH_MS;
  const oldest = Math.max(0, ...known.map(({ oldestWaitingSeconds = 0 }) => oldestWaitingSeconds));
  // What a paused queue has not taken in is told by its pause.
  const lag = queueNumbers.reduce((total, { paused, now }) => total + (now && !paused ? now.lag : 0), 0);
  return {
    known, sum, fresh, oldest, lag,
    letters: dead.data?.items.length ?? 0,
    sick: health.filter(troubled).length,
    paused: (queues.data?.items ?? []).filter((queue) => queue.paused).length,
    waits: oldest > LATE_SECONDS,
    // Where events come all the time, some are always on their way.
    behind: lag > LAG_MUCH || (lag > 0 && Boolean(events.data) && !fresh),
    unloaded: Boolean(newest && explained.data && !explained.data.inWarehouse && !fresh),
  };
}

/** The same in words, each with a link. */
export function reasons(data) {
  const { letters, sick, paused, waits, oldest, behind, lag, unloaded } = findings(data);
  return [
    letters > 0 && html`<a href="#/dead-letters">${many(data.dead)} ${letters === 1 ? "dead letter" : "dead letters"}</a>`,
    sick > 0 && html`<a href="#/webhook-endpoints">${count(sick, "endpoint")}</a> failing, resting or disabled`,
    paused > 0 && html`<a href="#/queues">${count(paused, "queue")}</a> paused`,
    waits && html`The oldest delivery <a href=${to("deliveries", { state: "waiting" })}>has waited ${duration(oldest)}</a>`,
    behind && html`<a href="#/queues">${count(lag, "event")}</a> not yet taken in by the queues`,
    unloaded && html`The newest event <a href=${to("events", data.newest.id)}>is not in the warehouse</a>`,
  ].filter(Boolean);
}

/** What could not be seen, in words. */
export function unknown(data) {
  const { queues, endpoints, dead, events, explained, queueNumbers, health } = data;
  const lacking = ({ denied, problem }) => {
    const operation = denied ?? (lacksScope(problem) ? problem.operation : null);
    return operation ? `your key lacks the scope ${scopeOf(operation)}` : problem?.title;
  };
  const source = (name, one) => lacking(one) && `${name}: ${lacking(one)}`;
  const numbers = (list, one, what) => {
    const missing = list.filter(({ now }) => !now);
    return missing.length > 0 && `${what} of ${count(missing.length, one)}: ${lacking(missing[0]) ?? "no answer"}`;
  };
  return [
    source("the queues", queues), source("the endpoints", endpoints), source("the dead letters", dead), source("the newest event", events),
    source("the newest event’s way", explained), numbers(queueNumbers, "queue", "the numbers"), numbers(health, "endpoint", "the health"),
    beyond(queues) && `the queues behind the first ${LOOKED_AT}`, beyond(endpoints) && `the endpoints behind the first ${LOOKED_AT}`,
  ].filter(Boolean);
}
