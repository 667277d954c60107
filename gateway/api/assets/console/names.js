// The names of configured things by their ids, asked for once: lists show names, not ids.
import { all, call } from "./api.js";
import { useEffect } from "./html.js";
import { may } from "./session.js";
import { store } from "./store.js";

const LISTS = {
  queues: "listQueues", subscriptions: "listSubscriptions", endpoints: "listWebhookEndpoints", templates: "listNotificationTemplates",
  smtpAccounts: "listSmtpAccounts", billCycles: "listBillCycles", systemUsers: "listSystemUsers", customTypes: "listEventTypes",
};

const kept = new Map();

function keptList(kind) {
  if (!kept.has(kind)) kept.set(kind, { items: store([]), asked: false });
  return kept.get(kind);
}

async function fetchList(kind) {
  const list = keptList(kind);
  if (list.asked || !may(LISTS[kind])) return;
  list.asked = true;
  try {
    const { items } = kind === "customTypes" ? await call("listEventTypes", { quiet: true }) : await all(LISTS[kind], { quiet: true });
    list.items.set(items);
  } catch {
    // Ids are shown then.
  }
}

/** Forgets the lists and asks for those in use again: something was changed. */
export function forgetNames() {
  for (const [kind, list] of kept) {
    list.asked = false;
    if (list.items.get().length > 0) fetchList(kind);
  }
}

/** Forgets all: whoever signs in next may be of another tenant. */
export function dropNames() {
  for (const list of kept.values()) {
    list.asked = false;
    list.items.set([]);
  }
}

const nothing = store([]);

/** The items of a list. */
export function useItems(kind) {
  const list = kind ? keptList(kind) : { items: nothing };
  const items = list.items.use();
  useEffect(() => {
    if (kind) fetchList(kind);
  }, [kind]);
  return items;
}

/** A map from ids to names. */
export const useNames = (kind) => new Map(useItems(kind).map((item) => [item.id, item.name]));
export const useEventTypes = () => useItems("customTypes");
