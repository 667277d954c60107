// Dialogs, and actions that ask before they do.
import { call, fresh } from "../api.js";
import { html, useEffect, useId, useRef, useState } from "../html.js";
import { scopeOf, useMay } from "../session.js";
import { AsCurl } from "./curl.js";
import { say, Trouble } from "./notice.js";

/** A modal dialog: the browser keeps the focus within and gives it back. */
export function Dialog({ title, children, close, wide = false }) {
  const box = useRef();
  const id = useId("d");
  useEffect(() => {
    const before = document.activeElement;
    const dialog = box.current;
    dialog.showModal();
    return () => {
      dialog.close();
      before?.focus?.();
    };
  }, []);
  return html`<dialog ref=${box} class=${wide ? "wide" : ""} aria-labelledby=${id} onCancel=${(event) => (event.preventDefault(), close())}>
    <div class="dialoghead"><h2 id=${id}>${title}</h2><button type="button" class="plain" aria-label="Close" onClick=${close}>✕</button></div>
    ${children}
  </dialog>`;
}

/** Asks whether a call is to be made, saying what happens, and makes it. `given` may be a function: it is then asked once. */
function Confirmation({ operation, given, label, title, says, danger, done, close }) {
  const [state, setState] = useState({ busy: false });
  const idempotencyKey = useRef(fresh());
  const perform = async (event) => {
    event.preventDefault();
    setState({ busy: true });
    try {
      const result = await call(operation, { ...given, idempotencyKey: idempotencyKey.current });
      close();
      await done?.(result);
    } catch (problem) {
      idempotencyKey.current = problem.code === "unreachable" ? idempotencyKey.current : fresh();
      setState({ busy: false, problem });
    }
  };
  return html`<${Dialog} title=${title ?? label} close=${close}>
    <form onSubmit=${perform}>
      <div class="says">${says}</div>
      <${Trouble} problem=${state.problem} title=${label} />
      <div class="buttons"><button type="submit" class=${danger ? "danger" : "primary"} disabled=${state.busy}>${state.busy ? "Working…" : label}</button>
        <button type="button" onClick=${close}>Cancel</button></div>
      <${AsCurl} operation=${operation} given=${given} />
    </form>
  <//>`;
}

/** A button for one call. Without the scope for it, it stands there switched off and says why. */
export function Action({ operation, given = {}, label, title, says, danger = false, primary = false, done, told, disabled = false, why }) {
  const [open, setOpen] = useState(false);
  const may = useMay();
  if (!may(operation)) return html`<span class="denied small">${label}: needs the scope <code>${scopeOf(operation)}</code></span>`;
  const finished = async (result) => {
    if (told) say(typeof told === "function" ? told(result) : told);
    await done?.(result);
  };
  return html`<button type="button" class=${danger ? "danger" : primary ? "primary" : ""} disabled=${disabled} title=${disabled ? why
    : undefined} onClick=${() => setOpen(true)}>${label}</button>
    ${open && html`<${Confirmation} ...${{ operation, given, label, title, says, danger }} done=${finished} close=${() => setOpen(false)} />`}`;
}

/** A link that looks like a button, for an operation that has a page of its own. */
export function Go({ operation, href, label, primary = false }) {
  const may = useMay();
  if (operation && !may(operation)) return html`<span class="denied small">${label}: needs the scope <code>${scopeOf(operation)}</code></span>`;
  return html`<a class="button ${primary ? "primary" : ""}" href=${href}>${label}</a>`;
}
