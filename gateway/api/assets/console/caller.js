// What the caller may do, and the gateway's business time.
import { call } from "./api.js";
import { setClock } from "./format.js";
import { key, setScopes } from "./session.js";

/** Takes over what `getCaller` has answered. */
export function takeCaller({ scopes, now }) {
  setClock(now);
  setScopes(scopes);
}

/** Learns both. Without an answer everything is shown, and what is refused is said where it was asked for. */
export async function learnCaller() {
  const text = key();
  try {
    const caller = await call("getCaller", { quiet: true });
    if (key() === text) takeCaller(caller);
  } catch {
    // Away: the page's own calls tell it.
  }
}
