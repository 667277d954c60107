// The fields of a form: how each type of value is read from an object, written into a body, and typed.
//
// A field: `{name, label, type, required, help, initial, options, names, when, fixed, createOnly, unset}`; a dot in the name leads into a member.
// `fixed`: cannot be changed later, but is shown. `unset`: what an emptied field is sent as; without it, lists and maps are sent empty, and others cannot
// be emptied.
import { call } from "../api.js";
import { html, useState } from "../html.js";
import { fromLocalInput, localInput } from "../format.js";
import { useItems } from "../names.js";
import { useLoad, optional } from "../load.js";
import { EventTypeChoice, ObjectChoice } from "./choosers.js";

export const member = (object, name) => name.split(".").reduce((value, part) => value?.[part], object);

/** What a field shows for an object. */
export function read(field, object) {
  const value = member(object, field.name);
  if (value === undefined) return initial(field);
  if (field.type === "list") return value.length === 0 && field.none ? "none" : value.join("\n");
  if (field.type === "map") return field.secret ? [] : Object.entries(value);
  if (field.type === "json") return JSON.stringify(value, null, 2);
  if (field.type === "bool" || field.type === "eventTypes" || field.type === "objects") return value;
  return field.type === "secret" ? "" : String(value);
}

export function initial(field) {
  if (field.initial !== undefined) return field.initial;
  if (field.type === "bool") return false;
  return ["map", "eventTypes", "objects"].includes(field.type) ? [] : "";
}

/** What a field's text is as a JSON value; `undefined` if it is empty. Throws if it cannot be one. */
export function written(field, value) {
  if (field.type === "bool") return value;
  if (field.type === "eventTypes" || field.type === "objects") return value.length > 0 ? value : undefined;
  if (field.type === "map") {
    const pairs = value.filter(([name, text]) => name || text);
    return pairs.length > 0 ? Object.fromEntries(pairs) : undefined;
  }
  if (value === "") return undefined;
  if (field.type === "number") return asNumber(value);
  if (field.type === "list" && field.none && value.trim() === "none") return [];
  if (field.type === "list") return value.split("\n").map((line) => line.trim()).filter(Boolean).map((line) =>
    (field.of === "number" ? asNumber(line) : line));
  if (field.type === "json") return asJson(value);
  return value;
}

function asNumber(text) {
  if (!/^-?\d+(\.\d+)?$/.test(text.trim())) throw new Error(`“${text}” is not a number.`);
  return Number(text);
}

function asJson(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`This is not JSON: ${error.message}`);
  }
}

/** One field with its label, its help and its problem. */
export function Field({ field, value, set, problem, id, locked }) {
  if (field.type === "note") return html`<${field.component} />`;
  const described = [field.help && `${id}-help`, problem && `${id}-problem`].filter(Boolean).join(" ") || undefined;
  const own = { id, value, disabled: locked, "aria-describedby": described, "aria-invalid": problem ? "true" : undefined, required: field.required
    && !locked };
  const notes = html`${field.help && html`<p class="help" id=${`${id}-help`}>${field.help}</p>`}
    ${problem && html`<p class="problem" id=${`${id}-problem`}>${problem}</p>`}`;
  const wrong = problem ? "wrong" : "";
  if (field.type === "bool") return html`<div class="field check ${wrong}">
    <input ...${own} value=${undefined} required=${false} type="checkbox" checked=${value} onChange=${(event) => set(event.target.checked)} />
    <label for=${id}>${field.label}</label>${notes}</div>`;
  if (["map", "eventTypes", "objects"].includes(field.type)) {
    const Choice = { map: Pairs, eventTypes: EventTypeChoice, objects: ObjectChoice }[field.type];
    return html`<fieldset class="field ${wrong}" aria-describedby=${described} id=${id} tabindex="-1"><legend>${field.label}</legend>
      <${Choice} value=${value} set=${set} field=${field} id=${`${id}-first`} />${notes}</fieldset>`;
  }
  return html`<div class="field ${wrong}"><label for=${id}>${field.label}${field.required && !locked && html` <span class="faint">(required)</span>`}</label>
    <${Input} field=${field} own=${own} set=${set} />${notes}</div>`;
}

function Input({ field, own, set }) {
  const typed = (event) => set(event.target.value);
  switch (field.type) {
    case "choice":
      return html`<select ...${own} onChange=${typed}>
        ${field.options.map(([value, text]) => html`<option value=${value} selected=${value === own.value}>${text}</option>`)}</select>`;
    case "ref":
      return html`<${Reference} field=${field} own=${own} set=${set} />`;
    case "textarea":
    case "list":
      return html`<textarea ...${own} rows=${field.rows ?? 3} spellcheck=${field.type === "textarea"} onInput=${typed}></textarea>`;
    case "code":
    case "json":
      return html`<textarea ...${own} class="code" rows=${field.rows ?? (field.type === "json" ? 6 : 3)} spellcheck=${false} onInput=${typed}></textarea>`;
    case "secret":
      return html`<input ...${own} type="password" autocomplete="new-password" onInput=${typed} />`;
    case "time":
      return html`<input ...${own} type="datetime-local" step="1" value=${localInput(own.value)} onChange=${(event) =>
        set(fromLocalInput(event.target.value))} />`;
    case "date":
      return html`<input ...${own} type="date" onChange=${typed} />`;
    default:
      return html`<input ...${own} type="text" class=${field.code ? "code" : ""} list=${field.list} inputmode=${field.type === "number" ? "numeric"
        : undefined} autocomplete="off" onInput=${typed} />`;
  }
}

/** A choice among configured things, by name. */
function Reference({ field, own, set }) {
  const items = useItems(field.names);
  const more = useLoad(() => (field.also ? optional(call(field.also, { quiet: true })) : {}), []);
  const all = [...items, ...(more.data?.data?.items ?? [])];
  const known = all.some(({ id }) => id === own.value);
  return html`<select ...${own} onChange=${(event) => set(event.target.value)}>
    <option value="">${field.required ? "Choose…" : "None"}</option>
    ${own.value && !known && html`<option value=${own.value} selected>${own.value}</option>`}
    ${all.map(({ id, name }) => html`<option value=${id} selected=${id === own.value}>${name}</option>`)}
  </select>`;
}

/** Names with values. */
function Pairs({ value, set, field, id }) {
  const [added, setAdded] = useState(0);
  const change = (i, j, text) => set(value.map((pair, k) => (k === i ? pair.map((old, l) => (l === j ? text : old)) : pair)));
  const add = () => {
    set([...value, ["", ""]]);
    setAdded(added + 1);
  };
  return html`<div class="pairs">
    ${value.map(([name, text], i) => html`<div class="pair" key=${i}>
      <input aria-label=${`Name ${i + 1}`} placeholder="Name" value=${name} autocomplete="off" ref=${(input) => added && i === value.length - 1 && !name
        && !text && input?.dataset.seen !== String(added) && input && ((input.dataset.seen = added), input.focus())} onInput=${(event) =>
        change(i, 0, event.target.value)} />
      <input aria-label=${`${field.valueLabel} ${i + 1}`} placeholder=${field.valueLabel} class="code" value=${text} type=${field.secret ? "password"
        : "text"} autocomplete="off" spellcheck=${false} onInput=${(event) => change(i, 1, event.target.value)} />
      <button type="button" aria-label=${`Remove ${name || `row ${i + 1}`}`} onClick=${() => set(value.filter((_, k) => k !== i))}>✕</button>
    </div>`)}
    <button type="button" id=${id} onClick=${add}>Add one</button>
  </div>`;
}
