// One template: the editor beside its preview, and its versions with their differences.
import { all, call } from "../api.js";
import { html, useEffect, useState } from "../html.js";
import { KINDS } from "../kinds.js";
import { lines } from "../differences.js";
import { optional, useLoad } from "../load.js";
import { forgetNames, useEventTypes } from "../names.js";
import { scopeOf, useMay } from "../session.js";
import { to } from "../router.js";
import { Action } from "../parts/dialog.js";
import { Form } from "../parts/form.js";
import { Table } from "../parts/list.js";
import { Loading, say, Trouble } from "../parts/notice.js";
import { ParameterHelp } from "../parts/parameters.js";
import { Head, Id, Section, Text, Time } from "../parts/show.js";
import { EditAndDelete, useEntity } from "./entity.js";

export function Template({ id }) {
  const kind = KINDS.templates;
  const load = useEntity(kind, id, 0);
  if (load.loading) return html`<${Loading} what="Loading the template" />`;
  if (!load.data) return html`<${Head} kind=${kind.title} title=${id} up=${to(kind.path)} />
    <${Trouble} problem=${load.problem} title="Template" again=${load.again} />`;
  const { object, etag } = load.data;
  return html`<${Head} kind=${kind.title} up=${to(kind.path)} title=${object.name}>
    <${EditAndDelete} kind=${{ ...kind, update: null }} object=${object} etag=${etag} /><//>
    <p>${object.predefined ? html`This template is predefined and cannot be changed. <a href=${copyOf(object)}>Make your own from it</a>.`
      : html`Version ${object.version}. <a href=${to("transactions", { objectId: object.id })}>Its changes</a>`} · <${Id} of=${object.id} /></p>
    <${Beside} key=${object.version} kind=${kind} object=${object} etag=${etag} again=${load.again} />
    ${!object.predefined && html`<${Versions} key=${`v${object.version}`} object=${object} etag=${etag} again=${load.again} />`}`;
}

const copyOf = (object) => to("templates", "new", { subject: object.subject, text: object.text, html: object.html, language: object.language });

/** A value once nothing has changed it for half a second. */
function useCalm(value) {
  const [calm, setCalm] = useState(value);
  const text = JSON.stringify(value);
  useEffect(() => {
    const timer = setTimeout(() => setCalm(JSON.parse(text)), 500);
    return () => clearTimeout(timer);
  }, [text]);
  return calm;
}

/** The editor, and what it renders to. */
function Beside({ kind, object, etag, again }) {
  const [values, setValues] = useState(null);
  const saved = () => {
    say("The template is saved: e-mails use it from now on.");
    forgetNames();
    again();
  };
  const changed = values ? PARTS.map(([name]) => name).filter((name) => values[name] !== undefined && values[name] !== (object[name] ?? "")) : [];
  const unsaved = useCalm(Object.fromEntries(changed.map((name) => [name, values[name]])));
  return html`<div class="beside">
    <${Section} title="Editor"><${Form} fields=${kind.fields} operation=${kind.update} path=${{ notificationTemplate: object.id }} before=${object}
      etag=${etag} label="Save" locked=${object.predefined} done=${saved} onValues=${setValues} /><${ParameterHelp} start=${object.eventTypes[0]} /><//>
    <${Preview} object=${object} unsaved=${unsaved} />
  </div>`;
}

function Preview({ object, unsaved }) {
  const may = useMay();
  const types = useEventTypes();
  const [by, setBy] = useState({ eventType: object.eventTypes[0] ?? "" });
  const drafts = Object.keys(unsaved).length > 0;
  const body = { ...Object.fromEntries(Object.entries(by).filter(([, value]) => value)), ...unsaved };
  const load = useLoad(() => call("previewNotificationTemplate", { path: { notificationTemplate: object.id }, body }),
    [object.id, object.version, JSON.stringify(body)]);
  if (!may("previewNotificationTemplate")) return html`<${Section} title="Preview">
    <p class="denied">A preview needs the scope <code>${scopeOf("previewNotificationTemplate")}</code>.</p><//>`;
  const set = (name) => (event) => {
    const value = event.target.value.trim();
    setBy((now) => ({ ...now, [name]: value, ...(name === "eventId" && value && { eventType: "" }), ...(name === "eventType" && { eventId: "" }) }));
  };
  const one = load.data;
  return html`<${Section} title="Preview" note=${drafts ? "With your changes, which are not saved."
    : `Of version ${object.version}, by an example or a past event.`}>
    <div class="filters">
      <div class="field"><label for="previewtype">Example of</label>
        <select id="previewtype" value=${by.eventType} onChange=${set("eventType")}><option value="">–</option>
        ${types.map(({ name }) => html`<option value=${name} selected=${name === by.eventType}>${name}</option>`)}</select></div>
      <div class="field"><label for="previewevent">Or a past event’s id</label>
        <input id="previewevent" value=${by.eventId ?? ""} autocomplete="off" onChange=${set("eventId")} /></div>
      <div class="field"><label for="previewlanguage">Language</label>
        <input id="previewlanguage" value=${by.language ?? ""} placeholder=${object.language} autocomplete="off" onChange=${set("language")} /></div>
    </div>
    <div role="status" aria-live="polite">
      ${load.loading ? html`<${Loading} what="Rendering" />` : html`<${Trouble} problem=${load.problem} title="Preview" />`}</div>
    ${one && html`<p><strong>${one.subject}</strong> <span class="faint">(${one.language})</span></p>
      <h3>Plain text</h3><${Text} text=${one.text} label="Rendered plain text" />
      ${one.html && html`<details><summary>HTML source</summary><${Text} text=${one.html} label="Rendered HTML, as text" /></details>`}
      <details><summary>Values used (${one.parameters.length})</summary>
        <${Table} items=${one.parameters} rowKey=${({ name }) => name} label="Values used" columns=${VALUES} /></details>`}
  <//>`;
}

const VALUES = [{ title: "Parameter", cell: ({ name }) => html`<code>${name}</code>` },
  { title: "Value", cell: ({ value }) =>
  (value === undefined ? html`<span class="faint">the event does not have it</span>` : typeof value === "object" ? JSON.stringify(value) : String(value)) }];

/** The versions, newest first, and what each changed. */
function Versions({ object, etag, again }) {
  const load = useLoad(() => optional(all("listNotificationTemplateVersions", { path: { notificationTemplate: object.id }, most: 200 })), [object.id]);
  const [shown, setShown] = useState(null);
  const items = load.data?.data?.items ?? [];
  const at = items.findIndex(({ template }) => template.version === shown);
  const columns = [
    { title: "Version", cell: ({ template }) => template.version, kind: "number" },
    { title: "Since", cell: ({ changedAt }) => html`<${Time} at=${changedAt} />` },
    { title: "By", cell: ({ actor }) => actor },
    { title: "Transaction", cell: ({ businessTransaction }) => html`<a href=${to("transactions", businessTransaction)}>see</a>` },
    { title: "Difference", cell: ({ template }) =>
      html`<button type="button" aria-expanded=${shown === template.version} onClick=${() => setShown(shown === template.version ? null : template.version)}>
      ${shown === template.version ? "Hide" : "Show"}<span class="hidden"> what version ${template.version} changed</span></button>` },
  ];
  return html`<${Section} title="Versions"><${Trouble} problem=${load.data?.problem ?? load.problem} title="Versions" />
    <${Table} items=${items} columns=${columns} rowKey=${({ template }) => template.version} label="Versions" />
    ${at >= 0 && html`<${Difference} after=${items[at].template} before=${items[at + 1]?.template} ...${{ object, etag, again }} />`}
  <//>`;
}

const PARTS = [["subject", "Subject"], ["text", "Plain text"], ["html", "HTML"]];

function Difference({ before, after, object, etag, again }) {
  const parts = { subject: after.subject, text: after.text, html: after.html ?? null, language: after.language, translations: after.translations ?? {} };
  return html`<article class="card"><h3>${before ? `Version ${before.version} to ${after.version}` : `Version ${after.version}, the first that is kept`}</h3>
    ${PARTS.map(([name, title]) => {
      const found = lines(before?.[name] ?? "", after[name] ?? "");
      if (found.every(({ kind }) => kind === "same")) return null;
      return html`<h4>${title}</h4><pre class="diff" tabindex="0" role="region" aria-label=${`${title}: difference`}>
        ${found.map(({ kind, text }) => html`<span class=${kind}>${kind === "added" ? "+ " : kind === "removed" ? "- " : "  "}${text}\n</span>`)}</pre>`;
    })}
    ${after.version !== object.version
      && html`<${Action} operation="updateNotificationTemplate" given=${{ path: { notificationTemplate: object.id }, body: parts, ifMatch: etag }}
      label=${`Restore version ${after.version}`} done=${again} told=${`The parts of version ${after.version} are in use again.`}
      says=${html`<p>Makes a new version of <strong>${object.name}</strong> with the parts of version ${after.version}. E-mails use it from now on.</p>`}
        />`}</article>`;
}
