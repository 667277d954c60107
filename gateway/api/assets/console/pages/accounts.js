// Accounts, and everything about one in order of time.
import { all, call } from "../api.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { count, money, number, words } from "../format.js";
import { optional, useLoad } from "../load.js";
import { useNames } from "../names.js";
import { lacksScope } from "../session.js";
import { to } from "../router.js";
import { Action } from "../parts/dialog.js";
import { Filters } from "../parts/filter.js";
import { List } from "../parts/list.js";
import { Empty, Loading, Trouble } from "../parts/notice.js";
import { Facts, Head, Id, Ref, Section, State, Time } from "../parts/show.js";

const COLUMNS = [
  { title: "Name", cell: (one) => html`<a href=${to("accounts", one.id)}>${one.name}</a>` },
  { title: "External id", cell: (one) => one.externalId ?? html`<span class="faint">–</span>` },
  { title: "Status", cell: (one) => html`<${State} is=${one.status} />` },
  { title: "Currency", cell: (one) => one.currency },
  { title: "Changed", cell: (one) => html`<${Time} at=${one.updatedAt} />`, kind: "nowrap" },
];
const FILTERS = [
  { name: "text", label: "Text in names and ids" },
  { name: "status", label: "Status", options: ["inactive", "active", "suspended", "deactivated"].map((one) => [one, one]) },
  { name: "externalId", label: "External id" },
];

export function Accounts({ query }) {
  return html`<${Head} kind="Customers" title="Accounts" /><${Filters} fields=${FILTERS} label="Filter accounts" />
    <${List} operation="listAccounts" query=${query} columns=${COLUMNS} label="Accounts"
      empty=${html`<${Empty} title="No account fits">Change or clear the filters. Accounts are created by <code>createAccount</code>.<//>`} />`;
}

export function Account({ id, query }) {
  const load = useLoad(async () => {
    const account = await call("getAccount", { path: { account: id } });
    return { account, balance: await optional(call("getAccountBalance", { path: { account: account.id } })) };
  }, [id]);
  if (load.loading) return html`<${Loading} what="Loading the account" />`;
  if (load.problem) return html`<${Head} kind="Accounts" title=${id} up="#/accounts" />
    <${Trouble} problem=${load.problem} title="Account" again=${load.again} />`;
  const { account, balance: { data: balance } } = load.data;
  return html`<${Head} kind="Accounts" up="#/accounts" title=${account.name} />
    <${Facts} of=${[
      ["Status", html`<${State} is=${account.status} />${account.statusReason && html` <span class="faint">${account.statusReason}</span>`}`],
      balance && ["Balance", html`<strong>${money(balance.balance)}
        </strong> <span class="faint">due ${money(balance.balanceDue)}, overdue ${money(balance.overdue)}</span>`],
      ["External id", account.externalId],
      account.payerId && ["Paid by", html`<${Ref} type="account" id=${account.payerId} />`],
      ["Bill cycle", html`${account.billCycle.period.start} to ${account.billCycle.period.end}`],
      ["Account id", html`<${Id} of=${account.id} whole />`],
      ["See also", html`<a href=${to("events", { account: account.id })}>events</a> · <a href=${to("transactions",
        { account: account.id })}>transactions</a> · <a href=${to("deliveries", { orderingKey: account.id })}>deliveries</a>`],
    ]} />
    <${Planned} account=${account} again=${load.again} />
    <${Timeline} key=${query.only ?? ""} account=${account} only=${query.only} />`;
}

/** What is to happen to the account, its services and its packages, and the way to cancel it or to do it now. */
function Planned({ account, again }) {
  const names = useNames("billCycles");
  const load = useLoad(async () => {
    const [services, packages] = await Promise.all(["listServices", "listPackageSubscriptions"].map((list) =>
      optional(all(list, { query: { account: account.id } }))));
    const of = (found, kind) => (found.data?.items ?? []).filter((one) => one.plannedStatusChange).map((one) => ({ kind, one }));
    const problem = [services, packages].map((found) => found.problem).find((one) => one && !lacksScope(one));
    return { plans: [...of(services, "service"), ...of(packages, "packageSubscription")], problem, more: services.data?.more || packages.data?.more };
  }, [account.id]);
  const { plannedBillCycleChange: cycle, plannedStatusChange: status } = account;
  const { plans: others = [], problem = load.problem, more } = load.data ?? {};
  if (!cycle && !status && others.length === 0 && !problem && !more) return null;
  const path = { account: account.id };
  return html`<${Section} title="Planned"><${Trouble} problem=${problem} title="Services and packages" again=${load.again} />
    ${more && html`<p class="faint">Only the first 1 000 services and packages were looked at.</p>`}<ul class="plainlist">
    ${cycle && html`<${Plan} at=${cycle.validFrom} path=${path} again=${again} cancel="cancelAccountBillCycleChange" perform="performAccountBillCycleChange"
      what=${html`<strong>${account.name}</strong>: bill cycle becomes <strong>${names.get(cycle.billCycleId) ?? cycle.billCycleId}</strong>
        ${cycle.billingDay && ` with billing day ${cycle.billingDay}`}`} />`}
    ${status && html`<${Plan} at=${status.validFrom} path=${path} again=${again} cancel="cancelAccountStatusChange" perform="performAccountStatusChange"
      what=${html`<strong>${account.name}</strong>: status becomes <strong>${status.status}</strong>${status.reason && ` (${status.reason})`}
        ${status.services && ", with its services"}`} />`}
    ${others.map(({ kind, one }) =>
      html`<${Plan} key=${one.id} at=${one.plannedStatusChange.validFrom} path=${{ [kind]: one.id }} again=${() => (again(), load.again())}
      cancel=${kind === "service" ? "cancelServiceStatusChange" : "cancelPackageSubscriptionStatusChange"} perform=${kind === "service"
        ? "performServiceStatusChange" : "performPackageSubscriptionStatusChange"}
      what=${html`${words(kind)} <strong>${one.name ?? one.id}</strong>: status becomes <strong>${one.plannedStatusChange.status}</strong>`} />`)}
  </ul><//>`;
}

const Plan = ({ at, what, path, again, cancel, perform }) => html`<li class="plan"><span><${Time} at=${at} age />: ${what}</span>
  <${Action} operation=${perform} given=${{ path, body: {} }} label="Do it now" done=${again} told="It is done."
    says=${html`<p>Does now what is planned for <${Time} at=${at} />: ${what}. It cannot be undone.</p>`} />
  <${Action} operation=${cancel} given=${{ path, body: {} }} label="Cancel it" danger done=${again} told="It is cancelled."
    says=${html`<p>Cancels what is planned for <${Time} at=${at} />: ${what}. Everything stays as it is.</p>`} /></li>`;

/** What the timeline is made of: operation, its query, and how an item becomes a line. */
const SOURCES = {
  transactions: { title: "Transactions", operation: "listBusinessTransactions", query: (id) => ({ account: id }), line: (one) =>
    ({ at: one.occurredAt, href: to("transactions", one.id), title: one.operation,
    text: `by ${one.actor}: ${one.entities.map(({ type, action }) => `${words(type)} ${action}`).join(", ")}` }) },
  events: { title: "Events", operation: "listEvents", query: (id) => ({ account: id }), line: (one) =>
    ({ at: one.time, href: to("events", one.id), title: one.type, text: `${one.data.object.type} ${one.data.object.action}` }) },
  invoices: { title: "Invoices", operation: "listInvoices", query: (id) => ({ account: id, sort: "createdAt", order: "descending" }), line: (one) =>
    ({ at: one.createdAt, href: to("transactions", { objectId: one.id }), title: `Invoice ${one.number}`, text: `${money(one.total)}, due ${one.dueOn}`,
    state: one.overdueSince && one.status === "open" ? "overdue" : one.status }) },
  // Their list is oldest first: it is read to its end, and turned round.
  payments: { title: "Payments", operation: "listPayments", query: (id) => ({ account: id }), most: 2000, line: (one) =>
    ({ at: one.createdAt, href: to("transactions", { objectId: one.id }), title: "Payment", text: `${money(one.amount)} by ${one.method}`,
    state: one.status }) },
  deliveries: { title: "Deliveries", operation: "listDeliveries", query: (id) => ({ orderingKey: id }), line: (one) =>
    ({ at: one.createdAt, href: to("deliveries", one.id), title: `Delivery of ${one.eventType}`, text: one.lastAttempt?.detail ?? "", state: one.state }) },
};

/** Merges the sources by time: only as far back as every source that has more has been read. */
function merged(sources) {
  const open = sources.filter(({ next }) => next);
  const horizon = open.map(({ lines }) => lines.at(-1)?.at ?? "").sort().at(-1) ?? "";
  const lines = sources.flatMap(({ lines }) => lines).filter(({ at }) => at >= horizon);
  return { lines: lines.sort((a, b) => b.at.localeCompare(a.at) || a.rank - b.rank), more: open.length > 0, horizon };
}

async function fetchMore(account, names, before) {
  const horizon = before ? merged(before).horizon : "";
  return Promise.all(names.map(async (name, rank) => {
    const old = before?.[rank];
    if (old && (!old.problem || lacksScope(old.problem)) && (!old.next || (old.lines.at(-1)?.at ?? "") < horizon)) return old;
    const { operation, query, line, most } = SOURCES[name];
    const { data, problem } = await optional(most ? all(operation, { query: query(account.id), most })
      : call(operation, { query: { ...query(account.id), limit: 50, cursor: old?.next } }));
    const items = (most ? data?.items.toReversed() : data?.items) ?? [];
    const lines = items.map((item) => ({ ...line(item), id: `${name}${item.id}`, source: name, rank }));
    // What could not be read is asked for again by the next "Load more".
    return { name, problem, lines: [...(old?.lines ?? []), ...lines], next: data ? data.nextCursor : old?.next, cut: data?.more };
  }));
}

const SHOWN_AT_ONCE = 300;

function Timeline({ account, only }) {
  const names = Object.keys(SOURCES).filter((name) => !only || name === only);
  const [state, setState] = useState({ busy: true });
  const [from, setFrom] = useState(0);
  const list = useRef();
  // A slow earlier answer does not overwrite a later one, nor what stands here after the page was left.
  const generation = useRef(0);
  const load = async (before) => {
    const mine = (generation.current += 1);
    setState({ sources: before, busy: true });
    const next = await fetchMore(account, names, before).then((sources) => ({ sources }), (problem) => ({ sources: before, problem }));
    if (generation.current === mine) setState(next);
  };
  useEffect(() => {
    load();
    return () => {
      generation.current += 1;
    };
  }, []);
  const { lines, more } = state.sources ? merged(state.sources) : { lines: [], more: false };
  const shown = lines.slice(from, from + SHOWN_AT_ONCE);
  const move = (next) => {
    setFrom(next);
    list.current?.focus();
  };
  return html`<${Section} title="Timeline" note="Newest first.">
    <p class="chips"><a href=${to("accounts", account.id)} aria-current=${only ? undefined
      : "true"}>All</a> ${Object.entries(SOURCES).map(([name, { title }]) =>
      html`<a href=${to("accounts", account.id, { only: name })} aria-current=${only === name ? "true" : undefined}>${title}</a>`)}</p>
    ${state.sources?.filter(({ problem }) => problem).map(({ name, problem }) =>
      html`<${Trouble} key=${name} problem=${problem} title=${SOURCES[name].title} again=${() => load(state.sources)} />`)}
    ${state.sources?.filter(({ cut }) => cut).map(({ name }) =>
      html`<p key=${`cut${name}`} class="faint">${SOURCES[name].title}: only the first ${number(SOURCES[name].most)} are read; later ones are not shown.</p>`)}
    <${Trouble} problem=${state.problem} title="Timeline" again=${() => load(state.sources)} />
    ${state.busy && !state.sources && html`<${Loading} />`}
    ${state.sources && lines.length === 0 && html`<${Empty} title="Nothing yet">What happens to the account appears here.<//>`}
    ${from > 0 && html`<button type="button" onClick=${() => move(Math.max(0, from - SHOWN_AT_ONCE))}>Newer</button>`}
    <ol class="timeline" ref=${list} tabindex="-1">
      ${shown.map((one) => html`<li key=${one.id} class=${one.source}><${Time} at=${one.at} precise />
      <div><a href=${one.href}>${one.title}</a> ${one.state && html`<${State} is=${one.state} />`} <span class="faint">${one.text}</span></div></li>`)}</ol>
    <div class="more"><span role="status" aria-live="polite">${count(lines.length, "entry", "entries")}${more ? ", there are more" : ""}.</span>
      ${lines.length > from + SHOWN_AT_ONCE ? html`<button type="button" onClick=${() => move(from + SHOWN_AT_ONCE)}>Older</button>` : more
        && html`<button type="button" disabled=${state.busy} onClick=${() => load(state.sources)}>Load more</button>`}</div>
  <//>`;
}
