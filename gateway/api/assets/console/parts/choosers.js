// Choosing event types, and events by object.
import { html, useState } from "../html.js";
import { useEventTypes } from "../names.js";

const SHOWN = 200;

/** Types by search and checkbox, patterns by typing. */
export function EventTypeChoice({ value, set, id }) {
  const types = useEventTypes();
  const [text, setText] = useState("");
  const known = new Set(types.map(({ name }) => name));
  const found = types.filter(({ name, title, aliases }) =>
    [name, title, ...(aliases ?? [])].join(" ").toLowerCase().includes(text.toLowerCase().replaceAll("*", "")));
  const toggle = (name) => set(value.includes(name) ? value.filter((one) => one !== name) : [...value, name]);
  const pattern = text.trim();
  const fits = /^[a-z0-9_*]+(\.[a-z0-9_*]+)+$/.test(pattern) && !value.includes(pattern);
  const enter = (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    if (fits) add();
  };
  const add = () => {
    set([...value, pattern]);
    setText("");
  };
  return html`<div class="chooser">
    ${value.length > 0 && html`<ul class="chosen" aria-label="Chosen">
      ${value.map((name) => html`<li><span>${name}</span>${!known.has(name) && html` <span class="faint">pattern</span>`}
      <button type="button" aria-label=${`Remove ${name}`} onClick=${() => toggle(name)}>✕</button></li>`)}</ul>`}
    <div class="pair"><input id=${id} aria-label="Find a type, or write a pattern" placeholder="Find a type, or write a pattern such as invoice.*"
      value=${text} autocomplete="off" spellcheck=${false} onInput=${(event) => setText(event.target.value)} onKeyDown=${enter} />
      ${fits && html`<button type="button" onClick=${add}>Add ${pattern}</button>`}</div>
    <div class="choices" role="group" aria-label="Event types" tabindex="0">
      ${found.slice(0, SHOWN).map(({ name, title }) =>
      html`<label key=${name}><input type="checkbox" checked=${value.includes(name)} onChange=${() => toggle(name)} /> <span>${name}
      </span> <span class="faint">${title}</span></label>`)}
      ${found.length === 0 && html`<p class="faint">No type has this name.</p>`}
        ${found.length > SHOWN && html`<p class="faint">And ${found.length - SHOWN} more: write more of the name.</p>`}</div>
  </div>`;
}

const KINDS = ["created", "updated", "deleted", "lifecycle"];

/** Objects by kinds of events. */
export function ObjectChoice({ value, set, id }) {
  const types = useEventTypes();
  const objects = [...new Set([...types.map(({ name }) => name.split(".")[0]), ...value.map(({ object }) => object)])].filter((one) =>
    one !== "custom").sort();
  const has = (object, kind) => value.some((one) => one.object === object && one.events.includes(kind));
  const toggle = (object, kind) => {
    const before = value.find((one) => one.object === object)?.events ?? [];
    const after = before.includes(kind) ? before.filter((one) => one !== kind) : KINDS.filter((one) => one === kind || before.includes(one));
    const rest = value.filter((one) => one.object !== object);
    set(after.length > 0 ? [...rest, { object, events: after }] : rest);
  };
  const exists = (object, kind) =>
    (kind === "lifecycle" ? types.some(({ name }) => name.startsWith(`${object}.`) && !KINDS.includes(name.split(".")[1]))
    : types.some(({ name }) => name === `${object}.${kind}`));
  return html`<details class="objects" open=${value.length > 0}>
    <summary id=${id}>${value.length > 0 ? value.map(({ object, events }) => `${object}: ${events.join(", ")}`).join("; ") : "Choose by object"}</summary>
    <div class="choices" tabindex="0" role="group" aria-label="Objects">
      <table><thead><tr><th scope="col">Object</th>${KINDS.map((kind) => html`<th scope="col">${kind}</th>`)}</tr></thead>
    <tbody>${objects.map((object) =>
      html`<tr key=${object}><th scope="row">${object}</th>
      ${KINDS.map((kind) => html`<td>
      ${exists(object, kind) && html`<input type="checkbox" aria-label=${`${object} ${kind}`} checked=${has(object, kind)} onChange=${() =>
      toggle(object, kind)} />`}</td>`)}</tr>`)}</tbody></table></div></details>`;
}
