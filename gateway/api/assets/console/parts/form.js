// A form made from fields: creates or changes one object, and shows each problem at its field.
import { fresh, send } from "../api.js";
import { html, useEffect, useId, useRef, useState } from "../html.js";
import { scopeOf, useMay } from "../session.js";
import { AsCurl } from "./curl.js";
import { Field, initial, read, written } from "./fields.js";

const put = (body, name, value) => {
  const parts = name.split(".");
  const last = parts.pop();
  let place = body;
  for (const part of parts) place = place[part] ??= {};
  place[last] = value;
};

/** What an emptied field of an old object is sent as. Some cannot be emptied. */
function emptied(field) {
  if (field.unset !== undefined) return field.unset;
  if (["list", "eventTypes", "objects"].includes(field.type) && !field.required) return [];
  if (["map", "json"].includes(field.type) && !field.required) return {};
  throw { field: field.name, message: "It cannot be emptied: write another value." };
}

/** The body that the values make: of a new object all that is given, of an old one what has changed. Throws `{field, message}`. */
export function bodyOf(fields, values, before, whole) {
  const shown = fields.filter((field) => field.type !== "note" && (!field.when || field.when(values)));
  const value = (field) => {
    try {
      return written(field, values[field.name]);
    } catch (error) {
      throw { field: field.name, message: error.message };
    }
  };
  const changed = (field) => JSON.stringify(values[field.name]) !== JSON.stringify(read(field, before));
  const top = (field) => field.name.split(".")[0];
  // A member that is an object is replaced as a whole: if one of its fields has changed, all are sent.
  const touched = new Set(fields.filter((field) => field.type !== "note" && before && changed(field)).map(top));
  const body = {};
  for (const field of shown) {
    if (before && !whole && (!touched.has(top(field)) || field.fixed || field.createOnly)) continue;
    const given = value(field);
    const skipped = (!before || whole) && field.skip === given;
    if (given !== undefined && !skipped) put(body, field.name, given);
    else if (before && !whole && !field.name.includes(".") && changed(field) && !skipped) put(body, field.name, emptied(field));
  }
  // All fields of an object were emptied.
  for (const name of touched) if (!whole && !(name in body) && shown.some((field) => field.name.startsWith(`${name}.`))) body[name] = {};
  return body;
}

/** The field that a pointer of a problem means: the longest that it begins with. */
function fieldAt(fields, pointer = "") {
  const path = pointer.slice(1).split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~")).join(".");
  return fields.filter(({ name }) => path === name || path.startsWith(`${name}.`)).sort((a, b) => b.name.length - a.name.length)[0];
}

/** The problems by field, and those of none. */
function sorted(problem, fields) {
  const at = {};
  const rest = [];
  for (const one of problem?.errors ?? []) {
    const field = fieldAt(fields, one.pointer);
    if (field) at[field.name] = [at[field.name], one.message].filter(Boolean).join(" ");
    else rest.push(one);
  }
  return { at, rest };
}

/** `before`: the object that is changed. `whole`: a PUT, which takes all. `aside`: shown beside the fields, given the values. */
export function Form({ fields, operation, path = {}, before, etag, whole = false, label, done, query = {}, locked = false, onValues }) {
  const base = useId("form");
  const [values, setValues] = useState(() =>
    Object.fromEntries(fields.map((field) => [field.name, before ? read(field, before) : query[field.name] ?? initial(field)])));
  const [state, setState] = useState({});
  const key = useRef(fresh());
  const box = useRef();
  const may = useMay();
  const shown = fields.filter((field) => (!field.when || field.when(values)) && !(before && field.createOnly));
  const { at, rest } = sorted(state.problem, shown);
  useEffect(() => onValues?.(values), [values]);
  useEffect(() => {
    if (state.problem) (box.current.querySelector("[aria-invalid=true], fieldset.wrong") ?? box.current.querySelector(".trouble"))?.focus();
  }, [state.problem]);
  const body = () => bodyOf(fields, values, before, whole);
  const submit = async (event) => {
    event.preventDefault();
    let given;
    try {
      given = { path, body: body(), ifMatch: etag, idempotencyKey: key.current };
    } catch (wrong) {
      const errors = [{ pointer: `/${wrong.field.replaceAll(".", "/")}`, message: wrong.message }];
      return setState({ problem: { title: "A value does not fit", detail: "It stands at its field below.", errors, local: true } });
    }
    setState({ busy: true });
    try {
      const { body: result } = await send(operation, given);
      setState({});
      key.current = fresh();
      await done(result);
    } catch (problem) {
      if (problem.code !== "unreachable") key.current = fresh();
      setState({ problem });
    }
  };
  const allowed = may(operation);
  return html`<form class="form" ref=${box} onSubmit=${submit} noValidate>
    ${state.problem && html`<${Refused} problem=${state.problem} rest=${rest} at=${at} fields=${shown} base=${base} />`}
    ${shown.map((field) => html`<${Field} key=${field.name} id=${`${base}-${field.name}`} field=${field} value=${values[field.name]} locked=${locked
      || !allowed || (before && field.fixed)} problem=${at[field.name]} set=${(value) => setValues((now) => ({ ...now, [field.name]: value }))} />`)}
    ${!allowed ? html`<p class="denied">Changes need the scope <code>${scopeOf(operation)}</code>, which your key lacks.</p>` : !locked
      && html`<div class="buttons"><button type="submit" class="primary" disabled=${state.busy}>${state.busy ? "Saving…" : label}</button></div>
    <${LazyCurl} operation=${operation} given=${() => ({ path, body: body() })} />`}
  </form>`;
}

function Refused({ problem, rest, at, fields, base }) {
  const places = fields.filter(({ name }) => at[name]);
  return html`<div class="trouble" role="alert" tabindex="-1"><p><strong>Not saved: ${problem.title}</strong></p>
    ${(places.length === 0 || !problem.errors) && html`<p>${problem.detail}</p>`}
    ${places.length > 0 && html`<ul>
      ${places.map(({ name, label }) =>
      html`<li><a href=${`#${base}-${name}`} onClick=${(event) => (event.preventDefault(), document.getElementById(`${base}-${name}`)?.focus())}>${label}
      </a>: ${at[name]}</li>`)}</ul>`}
    ${rest.length > 0 && html`<ul>${rest.map((one) => html`<li><code>${one.pointer ?? one.parameter}</code> ${one.message}</li>`)}</ul>`}
    ${problem.status === 412 && html`<p>Somebody has changed it since you opened this page. Reload it, then change it again.</p>`}
    ${!problem.local && html`<p class="faint">Code <code>${problem.code}</code>${problem.requestId && html`, request <code>${problem.requestId}</code>`}
      </p>`}</div>`;
}

/** The call as curl, as the fields stand when it is unfolded. */
function LazyCurl({ operation, given }) {
  const [shown, setShown] = useState(null);
  const look = (event) => {
    if (!event.target.open) return setShown(null);
    try {
      setShown(given());
    } catch {
      setShown(null);
    }
  };
  return html`<details class="calls" onToggle=${look}><summary>As curl</summary>
    ${shown && html`<${AsCurl} operation=${operation} given=${shown} open />`}</details>`;
}
