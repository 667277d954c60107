// Filters of a list: they stand in the address, so that a link shows the same.
import { html, useEffect, useState } from "../html.js";
import { fromLocalInput, localInput } from "../format.js";
import { currentRoute, replace, to } from "../router.js";
import { useNames } from "../names.js";

/** `fields`: `[{name, label, type, options, names}]`. */
export function Filters({ fields, label = "Filters" }) {
  const { parts, query } = currentRoute();
  const [cleared, setCleared] = useState(0);
  const set = (name, value) => replace(to(...parts, { ...currentRoute().query, [name]: value }));
  const used = fields.some(({ name }) => query[name]);
  const apply = (event) => {
    event.preventDefault();
    const next = { ...currentRoute().query };
    for (const { name, type } of fields) next[name] = type === "time" ? fromLocalInput(event.target.elements[name].value)
      : event.target.elements[name].value.trim();
    replace(to(...parts, next));
  };
  return html`<form class="filters" role="search" aria-label=${label} onSubmit=${apply}>
    ${fields.map((field) => html`<${Filter} key=${`${field.name}${cleared}`} field=${field} value=${query[field.name] ?? ""} set=${(value) =>
      set(field.name, value)} />`)}
    <div class="buttons"><button type="submit">Apply</button>
      ${used && html`<a href=${to(...parts)} onClick=${() => setCleared(cleared + 1)}>Clear filters</a>`}</div>
  </form>`;
}

function Filter({ field, value, set }) {
  const id = `filter-${field.name}`;
  const names = useNames(field.names);
  // What is typed stays until it is applied, whatever is drawn anew meanwhile.
  const [typed, setTyped] = useState(value);
  useEffect(() => setTyped(value), [value]);
  let input = html`<input id=${id} name=${field.name} value=${typed} onInput=${(event) => setTyped(event.target.value)}
    placeholder=${field.example ?? ""} autocomplete="off" list=${field.type === "eventType" ? "event-types" : undefined} />`;
  if (field.type === "time") input = html`<input id=${id} name=${field.name} type="datetime-local" step="1" value=${localInput(value)} onChange=${(event) =>
    set(fromLocalInput(event.target.value))} />`;
  const options = field.names ? [...names].map(([key, text]) => [key, text]) : field.options;
  if (options) {
    const known = options.some(([key]) => key === value);
    input = html`<select id=${id} name=${field.name} value=${value} onChange=${(event) => set(event.target.value)}>
      <option value="">Any</option>${value && !known && html`<option value=${value}>${value}</option>`}
      ${options.map(([key, text]) => html`<option value=${key}>${text}</option>`)}
    </select>`;
  }
  return html`<div class="field"><label for=${id}>${field.label}</label>${input}</div>`;
}

export const FROM_TO = [{ name: "from", label: "From (your time)", type: "time" }, { name: "to", label: "To (your time)", type: "time" }];
