// What the page has asked the API, as lines for a shell.
import { asked, curl } from "../api.js";
import { html } from "../html.js";
import { Copy } from "./show.js";

/** The calls of this page, at its foot. */
export function Calls() {
  const calls = asked.use();
  if (calls.length === 0) return null;
  return html`<details class="calls">
    <summary>Copy as curl: what this page asks the API (${calls.length})</summary>
    <ul>${calls.map((one) => html`<li key=${JSON.stringify(one)}>
      <div class="call"><strong>${one.operation}</strong>
      <${Copy} text=${() => curl(one.operation, one)} label=${`Copy ${one.operation} as curl`}>Copy as curl<//></div>
      <pre tabindex="0" role="region" aria-label=${`curl for ${one.operation}`}>${curl(one.operation, one)}</pre></li>`)}</ul>
    <p class="faint">Set <code>BILLWIRE_API_KEY</code> in your shell first. The key is in none of these lines.</p>
  </details>`;
}

const Line = ({ operation, given }) =>
  html`<pre tabindex="0" role="region" aria-label=${`curl for ${operation}`}>${curl(operation, given)}</pre>
  <${Copy} text=${() => curl(operation, given)} label="Copy as curl">Copy as curl<//>`;

/** A call that a dialog or a form is about to make. `open`: without a heading to unfold. */
export const AsCurl = ({ open, ...one }) =>
  (open ? html`<${Line} ...${one} />` : html`<details class="calls"><summary>As curl</summary><${Line} ...${one} /></details>`);
