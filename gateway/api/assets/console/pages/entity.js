// The list, the page and the form of any kind that can be configured, made from its description.
import { send } from "../api.js";
import { html, useState } from "../html.js";
import { words } from "../format.js";
import { useLoad } from "../load.js";
import { forgetNames } from "../names.js";
import { go, to } from "../router.js";
import { Action, Go } from "../parts/dialog.js";
import { member } from "../parts/fields.js";
import { Form } from "../parts/form.js";
import { Bulk } from "../parts/bulk.js";
import { List, useSelection } from "../parts/list.js";
import { Empty, Loading, say, Trouble } from "../parts/notice.js";
import { SecretDialog, secretIn } from "../parts/secret.js";
import { Facts, Head, Id, Json, Ref, Section, Time, yesNo } from "../parts/show.js";
import { useNames } from "../names.js";
import { EventTypeNames } from "./events.js";

export function Listing({ kind, query }) {
  const [turn, setTurn] = useState(0);
  const make = kind.create && html`<${Go} operation=${kind.create} href=${to(kind.path, "new")} label=${kind.createLabel ?? `New ${kind.one}`} primary />`;
  const empty = html`<${Empty} title=${`No ${kind.title.toLowerCase()} yet`}>${kind.next ?? ""}<//>`;
  return html`<${Head} kind=${kind.group} title=${kind.title}>${make}<//>
    <p>${kind.lead}</p>
    ${kind.bulk ? html`<${Chosen} key=${turn} kind=${kind} query=${query} empty=${empty} again=${() => (forgetNames(), setTurn(turn + 1))} />`
      : html`<${List} operation=${kind.list} query=${query} columns=${kind.columns} rowKey=${kind.key} unpaged=${kind.unpaged} label=${kind.title}
      empty=${empty} />`}
    ${kind.below && html`<${Section} title="Predefined">
      <${List} operation=${kind.below} columns=${kind.columns} rowKey=${(one) => one.id
      ?? one.name} label=${`Predefined ${kind.title.toLowerCase()}`} unpaged /><//>`}`;
}

/** A list whose rows can be picked, and changed together. */
function Chosen({ kind, query, empty, again }) {
  const selection = useSelection((one) => one.name);
  const [loaded, setLoaded] = useState([]);
  const picked = loaded.filter(({ id }) => selection.has(id));
  return html`${picked.length > 0
    && html`<div class="toolbar" role="region" aria-label="Change together"><span role="status" aria-live="polite">${picked.length} selected</span>
      ${kind.bulk.map((one) => ({ ...one, items: picked.filter(one.fits) })).filter(({ items }) =>
        items.length > 0).map(({ operation, label, says, danger, items }) =>
        html`<${Bulk} key=${operation} ...${{ operation, label, says, danger, items }} noun=${kind.one} given=${({ id }) =>
        ({ path: { [kind.param]: id }, body: {} })} done=${again} />`)}
      <button type="button" onClick=${selection.clear}>Select none</button></div>`}
    <${List} operation=${kind.list} query=${query} columns=${kind.columns} label=${kind.title} empty=${empty} selection=${selection} keep=${setLoaded} />`;
}

/** Loads one object with its ETag. */
export function useEntity(kind, id, everyMs = kind.live) {
  return useLoad(async () => {
    const { body, etag } = await send(kind.get, { path: { [kind.param]: id } });
    return { object: body, etag };
  }, [kind.path, id], everyMs);
}

export const titleOf = (kind, object) => kind.title1?.(object) ?? object.name ?? object.id;

/** The value of a field, for reading. */
function Value({ field, object }) {
  const value = member(object, field.name);
  const names = useNames(field.names);
  if (field.type === "ref") return html`<${Ref} type=${REFS[field.names]} id=${value} name=${names.get(value)} />`;
  if (field.type === "bool") return yesNo(value);
  if (field.type === "time") return html`<${Time} at=${value} />`;
  if (field.type === "choice") return field.options.find(([option]) => option === value)?.[1] ?? value;
  if (field.type === "code") return html`<pre class="value">${value}</pre>`;
  if (field.type === "objects") return value.map(({ object: name, events }) => `${name}: ${events.join(", ")}`).join("; ");
  if (field.type === "eventTypes") return value.length > 8 ? html`<details><summary>${value.length} types</summary>${value.join(", ")}</details>`
    : value.join(", ");
  if (field.none && value.length === 0) return "none";
  if (Array.isArray(value) && typeof value[0] !== "object") return value.join(", ");
  if (value !== null && typeof value === "object") return html`<pre class="value">${JSON.stringify(value, null, 2)}</pre>`;
  return String(value);
}

const REFS = { queues: "queue", endpoints: "webhookEndpoint", templates: "notificationTemplate", smtpAccounts: "smtpAccount", billCycles: "billCycle" };

const given = (value) => value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0);

/** What the fields hold, and what every object has. */
export const FieldFacts = ({ kind, object }) =>
  html`<${Facts} of=${[
    ...(kind.facts?.(object) ?? []),
    ...kind.fields.filter((field) => field.type !== "note" && field.name !== "name" && field.type !== "secret"
      && (given(member(object, field.name)) || (field.none && member(object, field.name)))).map((field) =>
      [field.label, html`<${Value} field=${field} object=${object} />`]),
    ["Id", html`<${Id} of=${object.id} whole />`],
    ["Created", html`<${Time} at=${object.createdAt} />`],
    ["Version", html`${object.version} · <a href=${to("transactions", { objectId: object.id })}>its changes</a>`],
  ]} />`;

/** Change and delete, where the kind has them. */
export const EditAndDelete = ({ kind, object, etag }) => html`
  ${kind.update && !object.predefined && html`<${Go} operation=${kind.update} href=${to(kind.path, object.id, "edit")} label="Change" />`}
  ${kind.remove && !object.predefined
    && html`<${Action} operation=${kind.remove} given=${{ path: { [kind.param]: object.id }, ifMatch: etag }} label=${kind.removeLabel
    ?? "Delete"} danger told=${`${titleOf(kind, object)} is gone.`}
    done=${() => (forgetNames(), go(to(kind.path)))}
      says=${html`<p>Deletes the ${kind.one} <strong>${titleOf(kind, object)}</strong> for good. What has happened stays in the history.</p>`} />`}`;

export function Entity({ kind, id }) {
  const load = useEntity(kind, id);
  if (load.loading) return html`<${Loading} what=${`Loading the ${kind.one}`} />`;
  if (!load.data) return html`<${Head} kind=${kind.title} title=${id} up=${to(kind.path)} />
    <${Trouble} problem=${load.problem} title=${kind.one} again=${load.again} />`;
  const { object, etag } = load.data;
  const again = () => (forgetNames(), load.again());
  return html`<${Head} kind=${kind.title} up=${to(kind.path)} title=${titleOf(kind, object)}>${kind.actions?.({ object, etag, again })}
    <${EditAndDelete} kind=${kind} object=${object} etag=${etag} /><//>
    <${Trouble} problem=${load.problem} title="Looking again" />
    <${FieldFacts} kind=${kind} object=${object} />
    ${kind.more?.({ object, etag, again })}
    <${Section} title="As JSON"><${Json} value=${object} label=${`${kind.one} as JSON`} /><//>`;
}

/** The form for a new object, or for a change. */
export function Edit({ kind, id, query }) {
  const load = useLoad(async () => (id ? { ...(await send(kind.get, { path: { [kind.param]: id } })) } : {}), [kind.path, id]);
  const [made, setMade] = useState(null);
  if (load.loading) return html`<${Loading} />`;
  if (load.problem) return html`<${Head} kind=${kind.title} title=${id} up=${to(kind.path)} />
    <${Trouble} problem=${load.problem} title=${kind.one} again=${load.again} />`;
  const { body: before, etag } = load.data;
  const leave = (transaction) => {
    const entity = transaction?.entities?.[0];
    forgetNames();
    say(before ? "The change is saved." : `The ${kind.one} is created.`);
    go(to(kind.path, before ? id : kind.plain ? entity?.after?.name ?? "" : entity?.id ?? ""));
  };
  const done = (transaction) => {
    const secret = before ? null : secretIn(transaction);
    if (secret) setMade({ secret, transaction });
    else leave(transaction);
  };
  return html`<${Head} kind=${kind.title} up=${before ? to(kind.path, id) : to(kind.path)} title=${before ? `Change ${titleOf(kind, before)}`
    : kind.createLabel ?? `New ${kind.one}`} /><${EventTypeNames} />
    ${!before && html`<p>${kind.lead}</p>`}
    <${Form} fields=${kind.fields} operation=${before ? kind.update : kind.create} path=${before ? { [kind.param]: id }
      : {}} before=${before} etag=${etag} query=${query} label=${before ? "Save the change" : kind.createLabel
      ?? `Create the ${words(kind.one)}`} done=${done} />
    ${made && html`<${SecretDialog} secret=${made.secret} close=${() => leave(made.transaction)} />`}`;
}
