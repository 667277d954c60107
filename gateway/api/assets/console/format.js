// How values are written for people.
import { remembered, store } from "./store.js";

/** `viewer` or `tenant`: whose time zone times are shown in. */
export const zoneChoice = remembered("zone", "viewer");
/** The tenant's time zone, once known. */
export const tenantZone = store("UTC");

export const zone = () => (zoneChoice.get() === "tenant" ? tenantZone.get() : Intl.DateTimeFormat().resolvedOptions().timeZone);

const formats = new Map();
function format(options) {
  const name = JSON.stringify(options);
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat("en-GB", options));
  return formats.get(name);
}

/** `2027-01-24 07:00:00.678` in the chosen zone. */
export function time(text, precise = false) {
  const at = new Date(text);
  if (!text || Number.isNaN(at.getTime())) return text ?? "";
  const timeZone = zone();
  const parts = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone };
  const found = Object.fromEntries(format(parts).formatToParts(at).map(({ type, value }) => [type, value]));
  const fraction = precise ? `.${String(at.getMilliseconds()).padStart(3, "0")}` : "";
  return `${found.year}-${found.month}-${found.day} ${found.hour}:${found.minute}:${found.second}${fraction}`;
}

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** `2 h 5 min`: the two largest units of a number of seconds. */
export function duration(seconds) {
  if (seconds < 1) return seconds > 0 ? `${Math.round(seconds * 1000)} ms` : "0 s";
  let rest = Math.round(seconds);
  const parts = [];
  for (const [unit, size] of UNITS) {
    const n = Math.floor(rest / size);
    rest -= n * size;
    if (n || parts.length) parts.push(n ? `${n} ${unit}` : "");
    if (parts.length === 2) break;
  }
  return parts.filter(Boolean).join(" ");
}

let ahead = 0;
/** Takes over the gateway's business time, by which moments are told: a test clock may run ahead of the viewer's. */
export function setClock(text) {
  ahead = new Date(text).getTime() - Date.now();
}
export const clock = () => Date.now() + ahead;

/** `5 min ago`, `in 2 h`. */
export function ago(text, now = clock()) {
  const seconds = (now - new Date(text).getTime()) / 1000;
  if (Math.abs(seconds) < 1) return "now";
  return seconds > 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
}

/** A latency in milliseconds. */
export const milliseconds = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : duration(ms / 1000));

export const number = (n) => new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 }).format(n).replaceAll(",", "\u202f");

export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

export const money = (value) => (value ? `${value.amount} ${value.currency}` : "");

/** The start of an id, which tells it from its neighbours less than its end does. */
export const short = (id) => (id && id.length > 20 ? `…${id.slice(-12)}` : id);

/** `updateAccountBillCycle` as words. */
export const words = (name) => name.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/_/g, " ").toLowerCase();

/** The milliseconds of `2027-01-24T07:00:00`, read in the chosen zone. */
export function moment(wall) {
  const wanted = new Date(`${wall}Z`).getTime();
  if (Number.isNaN(wanted)) return NaN;
  const whole = (at) => Math.floor(at / 1000) * 1000;
  const shift = (at) => new Date(`${time(at).replace(" ", "T")}Z`).getTime() - whole(at);
  return wanted - shift(wanted - shift(wanted));
}

/** What a field of type datetime-local wants, and back, in the chosen zone's stead: the viewer's. */
export function localInput(text) {
  if (!text) return "";
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
}
export const fromLocalInput = (text) => (text ? new Date(text).toISOString() : "");
