// Which parameters an event type offers: help for filters, expressions and templates.
import { html, useId, useState } from "../html.js";
import { useEventTypes } from "../names.js";
import { Table } from "./list.js";

const COLUMNS = [
  { title: "Parameter", cell: (one) => html`<code>${one.name}</code>` },
  { title: "Meaning", cell: ({ meaning, emailOnly }) => html`${meaning}${emailOnly && html` <span class="faint">(e-mails only)</span>`}` },
  { title: "Type", cell: ({ type }) => type },
  { title: "Example", cell: ({ example }) => example },
];

export function ParameterHelp({ start = "" }) {
  const types = useEventTypes();
  const [name, setName] = useState(start);
  const id = useId("p");
  const found = types.find((one) => one.name === name);
  return html`<details class="help-box"><summary>Which parameters are there?</summary>
    <div class="field"><label for=${id}>Event type</label>
      <select id=${id} value=${name} onChange=${(event) => setName(event.target.value)}><option value="">Choose…</option>
      ${types.map((one) => html`<option value=${one.name} selected=${one.name === name}>${one.name}</option>`)}</select></div>
    ${found && html`<${Table} items=${found.parameters} columns=${COLUMNS} rowKey=${(one) => one.name} label=${`Parameters of ${name}`} />`}
  </details>`;
}

export const PARAMETER_COLUMNS = COLUMNS;
