// Which page an address names.
import { html } from "./html.js";
import { KINDS } from "./kinds.js";
import { Head } from "./parts/show.js";
import { Account, Accounts } from "./pages/accounts.js";
import { Audit } from "./pages/audit.js";
import { DeadLetters } from "./pages/dead_letters.js";
import { Deliveries } from "./pages/deliveries.js";
import { Delivery } from "./pages/delivery.js";
import { Endpoint } from "./pages/endpoint.js";
import { Event } from "./pages/event.js";
import { Events } from "./pages/events.js";
import { EventType } from "./pages/event_type.js";
import { Edit, Entity, Listing } from "./pages/entity.js";
import { Overview } from "./pages/overview.js";
import { NewReplay, Replay, Replays } from "./pages/replays.js";
import { SearchResults } from "./pages/search.js";
import { SetAside } from "./pages/set_aside.js";
import { Settings } from "./pages/settings.js";
import { Template } from "./pages/template.js";
import { Transaction, Transactions } from "./pages/transactions.js";

/** `path: [the page of the list, the page of one, title]`. */
const HAND_MADE = {
  search: [SearchResults, null, "Search"],
  events: [Events, Event, "Events"],
  transactions: [Transactions, Transaction, "Business transactions"],
  deliveries: [Deliveries, Delivery, "Deliveries"],
  "dead-letters": [DeadLetters, null, "Dead letters"],
  "set-aside": [SetAside, null, "Set-aside events"],
  accounts: [Accounts, Account, "Accounts"],
  audit: [Audit, null, "Audit"],
  settings: [Settings, null, "Settings"],
};

/** Kinds whose page of one object is made by hand. */
const ONE = { "webhook-endpoints": Endpoint, templates: Template, "event-types": EventType };

const Missing = () => html`<${Head} title="No such page" /><p>The address names no page of the console. <a href="#/">Go to the overview</a>.</p>`;

/** The component of an address, what it is given, and the title of the window. */
export function pageFor([path, id, what]) {
  if (!path) return { component: Overview, props: {}, title: "Overview" };
  if (path === "replays") {
    if (!id) return { component: Replays, props: {}, title: "Replays" };
    return id === "new" ? { component: NewReplay, props: {}, title: "New replay" } : { component: Replay, props: { id, key: id }, title: "Replay" };
  }
  if (HAND_MADE[path]) {
    const [list, one, title] = HAND_MADE[path];
    if (!id) return { component: list, props: {}, title };
    return one ? { component: one, props: { id }, title } : { component: Missing, props: {}, title: "No such page" };
  }
  const kind = KINDS[path];
  if (!kind) return { component: Missing, props: {}, title: "No such page" };
  if (!id) return { component: Listing, props: { kind }, title: kind.title };
  if (id === "new" && kind.create) return { component: Edit, props: { kind }, title: `New ${kind.one}` };
  if (what === "edit") return { component: Edit, props: { kind, id }, title: `Change ${kind.one}` };
  return { component: ONE[path] ?? Entity, props: { kind, id }, title: kind.one };
}
