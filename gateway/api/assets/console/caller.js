// What the caller may do, and the gateway's business time.
import { call } from "./api.js";
import { setClock } from "./format.js";
import { key, setScopes } from "./session.js";

/** Learns both. Without an answer everything is shown, and what is refused is said where it was asked for. */
export async function learnCaller() {
  const text = key();
  try {
    const { scopes, now } = await call("getCaller", { quiet: true });
    setClock(now);
    if (key() === text) setScopes(new Set(scopes));
  } catch {
    // Away: the page's own calls tell it.
  }
}
