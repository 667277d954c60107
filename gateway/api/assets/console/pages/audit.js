// The audit: who did what, in a chain.
import { html } from "../html.js";
import { to } from "../router.js";
import { Filters, FROM_TO } from "../parts/filter.js";
import { List } from "../parts/list.js";
import { Empty } from "../parts/notice.js";
import { Head, Json, Ref, Time } from "../parts/show.js";

function Actor({ by = {} }) {
  if (by.apiKeyId) return html`key <${Ref} type="apiKey" id=${by.apiKeyId} />`;
  return html`${by.person?.name ?? by.person?.subject ?? by.part ?? "nobody known"}`;
}

function What({ entry }) {
  if (entry.changes) return html`<ul class="plainlist">
    ${entry.changes.slice(0, 20).map((change) =>
    html`<li><a href=${to("transactions", change.businessTransactionId)}>${change.operation}</a> by <${Actor} by=${change.by} />
    ${change.secretShown && html` <span class="faint">(a secret was shown)</span>`}</li>`)}
    ${entry.changes.length > 20 && html`<li class="faint">and ${entry.changes.length - 20} more</li>`}</ul>`;
  const { number, at, kind, ...rest } = entry;
  return html`<details><summary>${entry.refusals ? `${entry.refusals.length} refused` : "Details"}</summary>
    <${Json} value=${rest} label=${`Entry ${number}`} /></details>`;
}

const COLUMNS = [
  { title: "No.", cell: (entry) => entry.number, kind: "number" },
  { title: "Time", cell: (entry) => html`<${Time} at=${entry.at} precise />`, kind: "nowrap" },
  { title: "Kind", cell: (entry) => entry.kind },
  { title: "What", cell: (entry) => html`<${What} entry=${entry} />` },
];

const FILTERS = [{ name: "kind", label: "Kind",
  options: [["changes", "Changes"], ["refusals", "Refusals"], ["firstUse", "First use of a key"], ["signIn", "Sign-in"]] }, ...FROM_TO];

export function Audit({ query }) {
  return html`<${Head} kind="Access" title="Audit" />
    <${Filters} fields=${FILTERS} label="Filter the audit" />
    <${List} operation="listAuditEntries" query=${query} columns=${COLUMNS} rowKey=${(entry) =>
      entry.number} label="Audit entries" empty=${html`<${Empty} title="No entry fits">Change or clear the filters.<//>`} />`;
}
