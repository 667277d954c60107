// Who is signed in. The key stays in this tab's session storage: it is never in localStorage, in an address or in a link.
import { SCOPES } from "./operations.js";
import { read, store, write } from "./store.js";

const state = store({ key: read(sessionStorage, "key") ?? "", notice: "" });
// Operations that the key may not call, as the gateway has said.
const refused = store(new Set());
// The scopes of the key, where they are known.
const scopes = store(null);

export const key = () => state.get().key;
export const useSession = state.use;

export function signIn(text) {
  write(sessionStorage, "key", text);
  refused.set(new Set());
  scopes.set(null);
  state.set({ key: text, notice: "" });
}

export function signOut(notice = "") {
  write(sessionStorage, "key", null);
  refused.set(new Set());
  scopes.set(null);
  state.set({ key: "", notice });
}

/** Remembers that the key may not call an operation, and with it none of the same scope. */
export function deny(operation) {
  const scope = SCOPES[operation];
  const same = Object.keys(SCOPES).filter((other) => scope && SCOPES[other] === scope);
  refused.set((all) => new Set([...all, operation, ...same]));
}

/** Whether a problem says that the key lacks a scope: another 403 has reasons of its own. */
export const lacksScope = (problem) => problem?.code === "insufficient_scope";

/** Takes over the scopes of the key. Where they have changed, what was refused before is tried again. */
export function setScopes(names) {
  const [before, after] = [scopes.get(), new Set(names)];
  if (before?.size === after.size && names.every((one) => before.has(one))) return;
  if (before) refused.set(new Set());
  scopes.set(after);
}

export const knowsScopes = () => scopes.get() !== null;

/** Whether the key may call an operation, as far as is known. */
export function may(operation) {
  if (refused.get().has(operation)) return false;
  const known = scopes.get();
  return !known || known.has("*") || known.has(SCOPES[operation]) || operation === "getCaller";
}

/** The same in a component, which is drawn anew once more is known. */
export function useMay() {
  refused.use();
  scopes.use();
  return may;
}

export const scopeOf = (operation) => SCOPES[operation];
