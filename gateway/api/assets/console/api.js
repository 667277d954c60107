// The one way to the API: `call(operationId, {path, query, body})`. Nothing else in the console fetches from /v1.
import { OPERATIONS } from "./operations.js";
import { currentRoute } from "./router.js";
import { deny, key, lacksScope, signOut } from "./session.js";
import { store } from "./store.js";

/** Where the gateway is: the folder above the console's own, whatever the prefix. */
export const BASE = new URL("..", import.meta.url).href;

/** What the API refused, or why it could not be asked. */
export class Problem extends Error {
  constructor(members) {
    super(members.detail || members.title);
    Object.assign(this, members);
  }
}

/** What the page has asked for, newest last: the page shows it as curl. */
export const asked = store([]);

/** The method and the address of a call. */
export function request(operation, { path = {}, query = {} } = {}) {
  const known = OPERATIONS[operation];
  if (!known) throw new Error(`operations.js lacks ${operation}`);
  const [method, template] = known.split(" ");
  const way = template.slice(1).replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(path[name]));
  const wanted = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(wanted).toString();
  return { method, url: `${way}${search && `?${search}`}` };
}

/** Calls an operation: its body, its ETag and the id of the request. Throws a `Problem`. */
export async function send(operation, given = {}) {
  const { method, url } = request(operation, given);
  const headers = { Authorization: `Bearer ${given.key ?? key()}`, Accept: "application/json, application/problem+json" };
  if (given.body !== undefined) headers["Content-Type"] = "application/json";
  if (given.ifMatch) headers["If-Match"] = given.ifMatch;
  if (method !== "GET") headers["Idempotency-Key"] = given.idempotencyKey ?? fresh();
  if (!given.quiet) note(operation, given);
  const answer = await ask(url, { method, headers, body: JSON.stringify(given.body), signal: given.signal, cache: "no-store" });
  const requestId = answer.headers.get("x-request-id") ?? undefined;
  const text = await answer.text();
  const body = json(text);
  if (answer.ok && (body !== undefined || !text)) return { body, etag: answer.headers.get("etag"), requestId };
  throw refusal(operation, answer, body, requestId, given.key);
}

/** Calls an operation: its body. */
export const call = async (operation, given) => (await send(operation, given)).body;

async function ask(url, options) {
  try {
    return await fetch(BASE + url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ code: "unreachable", title: "The gateway does not answer",
      detail: "Check that the gateway runs and that this machine reaches it, then try again." });
  }
}

function refusal(operation, answer, body, requestId, tried) {
  const known = body?.code ? body
    : { code: "unexpected_answer", title: `Unexpected answer (${answer.status})`, detail: "The answer is not from the gateway: a proxy may stand between." };
  const problem = new Problem({ ...known, status: answer.status, requestId: known.requestId ?? requestId, operation });
  if (tried) return problem;
  if (lacksScope(problem)) deny(operation);
  if (answer.status === 401) signOut("The gateway no longer accepts the key. Sign in again.");
  return problem;
}

const json = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** A name for one change: a repeat under the same name is performed once. */
export function fresh() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Members that hold a secret: their values stand in no line for a shell, and are not kept once they were sent.
const SECRET = ["password", "secret", "token", "clientSecret", "key", "privateKey", "headers"];
const masked = (body) => body && JSON.parse(JSON.stringify(body), (name, value) => {
  if (!SECRET.includes(name) || !value) return value;
  if (typeof value === "string") return "…";
  return name === "headers" ? Object.fromEntries(Object.keys(value).map((header) => [header, "…"])) : value;
});

// A list's further pages and a page's later looks are the same call: each stands there once.
function note(operation, { path, query, body }) {
  const one = { page: currentRoute().parts.join("/"), operation, path, query: query && { ...query, cursor: undefined },
    body: masked(body) };
  const same = JSON.stringify(one);
  if (asked.get().some((other) => JSON.stringify(other) === same)) return;
  asked.set((all) => [...all, one].slice(-30));
}

/** The state of the process's parts: /readyz needs no key, and its refusal has the parts too. */
export async function readiness() {
  const answer = await ask("readyz", { cache: "no-store" });
  const body = json(await answer.text());
  if (!body?.parts) throw new Problem({ code: "unexpected_answer", title: "readyz did not name its parts", detail: `It answered ${answer.status}.` });
  return { ...body, status: answer.ok ? body.status : "down" };
}

/** The call as a line for a shell. Neither the key nor another secret is in it. */
export function curl(operation, given = {}) {
  const { method, url } = request(operation, given);
  const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = [`curl ${method === "GET" ? "" : `-X ${method} `}${quote(BASE + url)}`, `-H "Authorization: Bearer $BILLWIRE_API_KEY"`];
  if (given.body !== undefined) lines.push("-H 'Content-Type: application/json'", `--data-raw ${quote(JSON.stringify(masked(given.body)))}`);
  const line = lines.join(" \\\n  ");
  return key() ? line.replaceAll(key(), "…") : line;
}

/** All items of a list, up to `most` of them, and whether there are more. */
export async function all(operation, { most = 1000, ...given } = {}) {
  const items = [];
  let cursor;
  do {
    const page = await call(operation, { ...given, query: { limit: 200, ...given.query, cursor } });
    items.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor && items.length < most);
  return { items, more: Boolean(cursor) };
}
