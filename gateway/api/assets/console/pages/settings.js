// Settings of the tenant: billing, retention, stream.
import { send } from "../api.js";
import { html } from "../html.js";
import { tenantZone } from "../format.js";
import { useLoad } from "../load.js";
import { Form } from "../parts/form.js";
import { Loading, say, Trouble } from "../parts/notice.js";
import { Head, Section } from "../parts/show.js";

const BILLING = [
  { name: "timeZone", label: "Time zone of the tenant", help: "An IANA name such as Europe/Berlin." },
  { name: "defaultCurrency", label: "Currency of new accounts", help: "Empty: each account names its own." },
  { name: "paymentTermDays", label: "Days to pay", type: "number" },
  { name: "allocatePrepayments", label: "New invoices are paid from what earlier payments have left", type: "bool" },
  { name: "deliveryOffsets", label: "Times after an invoice’s delivery", type: "json",
    help: '[{"days": 14, "time": "09:00"}]: then invoice.delivery_offset_reached is published.' },
  { name: "dueReminders", label: "Times before the due date", type: "json", help: '[{"days": 3, "time": "09:00"}]: then invoice.due_soon is published.' },
  { name: "serviceStatuses", label: "Statuses of services", type: "json", rows: 10 },
  { name: "packageStatuses", label: "Statuses of package subscriptions", type: "json", rows: 10 },
];

const LENGTHS = [
  ["eventsDays", "Days for events"], ["businessTransactionsDays", "Days for business transactions"], ["deliveriesDays", "Days for finished deliveries"],
  ["attemptsDays", "Days for failed attempts"], ["answersDays", "Days for the texts of answers"], ["idempotencyHours", "Hours for idempotency keys"],
];

const retention = ({ shortest = {}, longest = {} }) =>
  LENGTHS.map(([name, label]) =>
  ({ name, label, type: "number", help: `${shortest[name] ?? 1} to ${longest[name] ?? "any"}. Empty: ${longest[name] ?? "for ever"}.` }));

const STREAM = [{ name: "businessTransactions", label: "Publish each business transaction as a whole too, behind its events", type: "bool" }];

export function Settings() {
  return html`<${Head} title="Settings" />
    <${One} title="Billing" get="getBillingSettings" update="updateBillingSettings" fields=${() => BILLING} saved=${({ timeZone }) => timeZone
      && tenantZone.set(timeZone)} />
    <${One} title="Retention" get="getRetentionSettings" update="updateRetentionSettings" fields=${retention} />
    <${One} title="Stream" get="getStreamSettings" update="updateStreamSettings" fields=${() => STREAM} />`;
}

function One({ title, get, update, fields, saved }) {
  const load = useLoad(() => send(get), []);
  const done = (transaction) => {
    say(`The ${title.toLowerCase()} settings are saved.`);
    saved?.(transaction.entities[0]?.after ?? {});
    load.again();
  };
  return html`<${Section} title=${title}>
    ${load.loading ? html`<${Loading} />` : html`<${Trouble} problem=${load.problem} title=${`${title} settings`} />`}
    ${load.data && html`<${Form} key=${load.data.body.version} fields=${fields(load.data.body)} operation=${update} before=${load.data.body}
      etag=${load.data.etag} whole label="Save" done=${done} />`}
  <//>`;
}
