// Dialogs, and actions that ask before they do.
import { call, fresh } from "../api.js";
import { html, useEffect, useId, useRef, useState } from "../html.js";
import { useLoad } from "../load.js";
import { scopeOf, useMay } from "../session.js";
import { AsCurl } from "./curl.js";
import { Loading, say, Trouble } from "./notice.js";

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

/** Asks whether a call is to be made, saying what happens, and makes it. */
function Confirmation({ operation, label, danger, done, close, prepare, ...fixed }) {
  const [state, setState] = useState({ busy: false });
  const idempotencyKey = useRef(fresh());
  const load = useLoad(() => prepare?.(), []);
  const ready = prepare ? load.data : fixed;
  const { given, title, says, nothing = false } = ready ?? {};
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
      ${ready ? html`<div class="says">${says}</div>` : load.loading && html`<${Loading} what="Counting" />`}
      <${Trouble} problem=${prepare && load.problem} title="Counting" again=${load.again} />
      <${Trouble} problem=${state.problem} title=${label} />
      <div class="buttons"><button type="submit" class=${danger ? "danger" : "primary"} disabled=${state.busy || !ready || nothing}>${state.busy
        ? "Working…" : label}</button>
        <button type="button" onClick=${close}>Cancel</button></div>
      ${ready && !nothing && html`<${AsCurl} operation=${operation} given=${given} />`}
    </form>
  <//>`;
}

/** A button for one call. `prepare`: gives `{given, title, says, nothing}` when the dialog opens, in place of those that are given here. */
export const Action = (one) => html`<${Asking} key=${one.operation} ...${one} />`;

// Another operation is another button: an open dialog never turns into the opposite. Without the scope the button gives way to a word why.
function Asking({ operation, given = {}, label, title, says, prepare, danger = false, primary = false, done, told, disabled = false, why }) {
  const [open, setOpen] = useState(false);
  const may = useMay();
  if (!may(operation)) return html`<span class="denied small">${label}: needs the scope <code>${scopeOf(operation)}</code></span>`;
  const finished = async (result) => {
    if (told) say(typeof told === "function" ? told(result) : told);
    await done?.(result);
  };
  return html`<button type="button" class=${danger ? "danger" : primary ? "primary" : ""} disabled=${disabled} title=${disabled ? why
    : undefined} onClick=${() => setOpen(true)}>${label}</button>
    ${open && html`<${Confirmation} ...${{ operation, given, label, title, says, prepare, danger }} done=${finished} close=${() => setOpen(false)} />`}`;
}

/** A link that looks like a button, for an operation that has a page of its own. */
export function Go({ operation, href, label, primary = false }) {
  const may = useMay();
  if (operation && !may(operation)) return html`<span class="denied small">${label}: needs the scope <code>${scopeOf(operation)}</code></span>`;
  return html`<a class="button ${primary ? "primary" : ""}" href=${href}>${label}</a>`;
}
