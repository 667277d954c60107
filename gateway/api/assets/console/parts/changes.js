// Before and after, side by side, with the differences marked.
import { members } from "../differences.js";
import { html, useState } from "../html.js";
import { count } from "../format.js";
import { visible } from "./show.js";

const shown = (value) => (value === undefined ? html`<span class="faint">absent</span>`
  : visible(typeof value === "string" ? value : JSON.stringify(value, null, 1)));

/** The members of an object before and after a change. What stayed the same is shown on demand. */
export function Changes({ before, after }) {
  const [whole, setWhole] = useState(false);
  if (!before && !after) return html`<p class="faint">No state is recorded.</p>`;
  const rows = members(before, after);
  const changed = rows.filter((row) => row.changed);
  const both = before && after;
  const visible = both && !whole ? changed : rows;
  return html`<div class="changes">
    ${both && changed.length === 0 && html`<p class="faint">Nothing changed.</p>`}
    ${visible.length > 0 && html`<table class="list compare" role="table" aria-label="Before and after">
      <thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Member</th>${before && html`<th role="columnheader" scope="col">Before</th>`}
      ${after && html`<th role="columnheader" scope="col">After</th>`}</tr></thead>
      <tbody role="rowgroup">${visible.map((row) => html`<tr role="row" key=${row.path} class=${both && row.changed ? "changed" : ""}>
        <td role="cell" data-label="Member"><span><code>${row.path}</code>${both && row.changed && html`<span class="hidden"> changed</span>`}</span></td>
        ${before && html`<td role="cell" data-label="Before"><span class="value ${both && row.changed ? "removed" : ""}">${shown(row.before)}</span></td>`}
        ${after && html`<td role="cell" data-label="After"><span class="value ${both && row.changed ? "added" : ""}">${shown(row.after)}</span></td>`}
      </tr>`)}</tbody></table>`}
    ${both && rows.length > changed.length
      && html`<button type="button" class="plain" aria-expanded=${whole} onClick=${() => setWhole(!whole)}>
      ${whole ? "Show only what changed" : `Show ${count(rows.length - changed.length, "unchanged member")} too`}</button>`}
  </div>`;
}
