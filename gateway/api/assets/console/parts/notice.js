// What the page tells: problems, empty lists, what was done.
import { html, useEffect, useState } from "../html.js";
import { lacksScope, scopeOf } from "../session.js";
import { store } from "../store.js";

const told = store([]);
let number = 0;

/** Says a short text at the page's edge, and to screen readers. */
export function say(text, kind = "good") {
  const one = { number: (number += 1), text, kind };
  told.set((all) => [...all.slice(-3), one]);
  setTimeout(() => told.set((all) => all.filter((other) => other !== one)), 9000);
}

export function Said() {
  const all = told.use();
  return html`<div class="said" role="status" aria-live="polite">
    ${all.map(({ number, text, kind }) => html`<p key=${number} class="toast ${kind}">${text}</p>`)}
  </div>`;
}

/** A refusal: what is wrong, where, its code and the id to quote. */
export function Trouble({ problem, title, again }) {
  if (!problem) return null;
  if (lacksScope(problem)) return html`<${Denied} problem=${problem} what=${title} />`;
  return html`<div class="trouble" role="alert">
    <p><strong>${title ? `${title}: ` : ""}${problem.title ?? "Something went wrong"}</strong></p>
    <p>${problem.detail ?? problem.message}</p>
    ${problem.errors?.length > 0 && html`<ul>
      ${problem.errors.map((one) => html`<li><code>${one.parameter ?? one.pointer ?? ""}</code> ${one.message}</li>`)}</ul>`}
    <p class="faint">
      ${problem.code && html`Code <code>${problem.code}</code>`}
      ${problem.requestId && html`, request <code>${problem.requestId}</code>`}
    </p>
    ${again && html`<button type="button" onClick=${again}>Try again</button>`}
  </div>`;
}

/** What a key may not see: said in one line, the rest of the page works. */
export function Denied({ problem, operation, what = "This" }) {
  const scope = problem?.detail?.match(/scope '([^']+)'/)?.[1] ?? scopeOf(operation ?? problem?.operation);
  const id = problem?.requestId;
  return html`<p class="denied">${what}: not shown, because your key lacks the scope <code>${scope}
    </code>.${id && html` <span class="faint">Request <code>${id}</code></span>`}</p>`;
}

/** An empty list, with what to do next. */
export const Empty = ({ title, children }) => html`<div class="empty"><p><strong>${title}</strong></p>${children && html`<p>${children}</p>`}</div>`;

/** Shown only when loading takes a moment, so that quick answers do not flicker. */
export function Loading({ what = "Loading" }) {
  const [late, setLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 250);
    return () => clearTimeout(timer);
  }, []);
  return html`<p class="loading" role="status">${late ? `${what}…` : ""}</p>`;
}
