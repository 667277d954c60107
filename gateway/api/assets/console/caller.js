// What the caller may do. No operation tells a caller its own scopes; a key that may read API keys finds itself among them.
import { all, call } from "./api.js";
import { key, setScopes } from "./session.js";

/** Learns the scopes of the key, if it may. Otherwise refusals teach them, one by one. */
export async function learnScopes() {
  const text = key();
  try {
    const { items } = await all("listApiKeys", { quiet: true });
    const own = items.filter(({ startsWith, revokedAt }) => startsWith && !revokedAt && text.startsWith(startsWith));
    if (own.length !== 1) return;
    const roles = own[0].roles?.length ? await roleScopes(own[0].roles) : [];
    if (roles && key() === text) setScopes(new Set([...own[0].scopes, ...roles]));
  } catch {
    // Not allowed, or away: everything is shown, and what is refused is said where it was asked for.
  }
}

async function roleScopes(names) {
  const lists = await Promise.all([call("listPredefinedRoles", { quiet: true }), all("listRoles", { quiet: true })]);
  const known = lists.flatMap(({ items }) => items).filter(({ name }) => names.includes(name));
  return known.length === names.length ? known.flatMap(({ scopes }) => scopes) : null;
}
