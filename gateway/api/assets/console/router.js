// Addresses are `#/path?query`: they can be shared, and work behind any prefix.
import { store } from "./store.js";

/** Reads an address: its path, in parts, and its query. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#?\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decode);
  return { parts, query: Object.fromEntries(new URLSearchParams(query)) };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Writes an address. Empty values of the query are left out. */
export function to(...given) {
  const query = typeof given.at(-1) === "object" ? given.pop() : {};
  const path = given.map((part) => encodeURIComponent(part)).join("/");
  const wanted = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(wanted).toString();
  return `#/${path}${search && `?${search}`}`;
}

const route = store(parse(location.hash));
addEventListener("hashchange", () => route.set(parse(location.hash)));

/** The address, in a component. */
export const useRoute = route.use;
export const currentRoute = route.get;

export function go(address) {
  location.hash = address;
}

/** Changes the address without a new entry in the browser's history: for filters. */
export function replace(address) {
  history.replaceState(null, "", address);
  route.set(parse(address));
}
