// One call for each of many: says how many it touches before, shows how far it is, and what was refused.
import { call, curl } from "../api.js";
import { html, useRef, useState } from "../html.js";
import { count } from "../format.js";
import { scopeOf, useMay } from "../session.js";
import { Dialog } from "./dialog.js";
import { Trouble } from "./notice.js";
import { Text } from "./show.js";

/** A button for an operation on each of `items`. `given`: an item's path and body. `noun`: what one of them is called. */
export function Bulk({ operation, items, given, label, noun, nouns, says, danger = false, done }) {
  const [open, setOpen] = useState(false);
  const may = useMay();
  if (!may(operation)) return html`<span class="denied small">${label}: needs the scope <code>${scopeOf(operation)}</code></span>`;
  return html`<button type="button" class=${danger ? "danger" : ""} onClick=${() => setOpen(true)}>${label} ${items.length}</button>
    ${open && html`<${Run} ...${{ operation, items, given, label, noun, nouns, says, danger }} close=${(ran) => (setOpen(false), ran && done?.())} />`}`;
}

function Run({ operation, items, given, label, noun, nouns, says, danger, close }) {
  const [state, setState] = useState({ at: null, refused: [], performed: 0 });
  const stopped = useRef(false);
  const n = count(items.length, noun, nouns);
  const perform = async () => {
    const refused = [];
    let performed = 0;
    for (let at = 0; at < items.length && !stopped.current; at += 1) {
      setState({ at, refused, performed });
      try {
        await call(operation, { ...given(items[at]), quiet: true });
        performed += 1;
      } catch (problem) {
        refused.push({ item: items[at], problem });
        if (problem.status === 401 || problem.status === 403 || problem.code === "unreachable") break;
      }
    }
    setState({ at: refused.length + performed, refused, performed, ended: true });
  };
  const leave = () => {
    stopped.current = true;
    close(state.at !== null);
  };
  const lines = () => items.slice(0, 50).map((item) => curl(operation, given(item))).join("\n\n");
  return html`<${Dialog} title=${`${label}: ${n}`} close=${leave}>
    ${state.at === null && html`<div class="says"><p>${says}</p></div>
      <div class="buttons"><button type="button" class=${danger ? "danger" : "primary"} onClick=${perform}>${label} ${n}</button>
        <button type="button" onClick=${leave}>Cancel</button></div>
      <details class="calls"><summary>As curl</summary><${Text} text=${lines()} label=${`curl for ${operation}`} /></details>`}
    ${state.at !== null && html`<div role="status" aria-live="polite">
      <p><progress max=${items.length} value=${state.at} aria-label="Done">
      </progress> ${state.ended ? `${state.performed} of ${n} done.` : `${state.at} of ${n}`} ${state.refused.length > 0
      && `${state.refused.length} refused.`}</p></div>
      ${state.refused.slice(0, 3).map(({ problem }) => html`<${Trouble} problem=${problem} />`)}
      <div class="buttons"><button type="button" class="primary" onClick=${leave}>${state.ended ? "Close" : "Stop here"}</button></div>`}
  <//>`;
}
