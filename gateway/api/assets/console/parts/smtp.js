// Trying an SMTP account.
import { call } from "../api.js";
import { html, useState } from "../html.js";
import { scopeOf, useMay } from "../session.js";
import { milliseconds } from "../format.js";
import { Trouble } from "./notice.js";
import { Facts, Section, State } from "./show.js";

export function SmtpTests({ account }) {
  const [state, setState] = useState({});
  const may = useMay();
  const path = { smtpAccount: account.id };
  const attempt = async (what, operation, body) => {
    setState({ busy: what });
    try {
      setState({ what, result: await call(operation, { path, body }) });
    } catch (problem) {
      setState({ what, problem });
    }
  };
  const mail = (event) => {
    event.preventDefault();
    attempt("Test e-mail", "sendTestEmail", { to: event.target.elements.to.value.trim() });
  };
  if (!may("verifySmtpAccount")) return html`<${Section} title="Try it">
    <p class="denied">Tests need the scope <code>${scopeOf("verifySmtpAccount")}</code>.</p><//>`;
  return html`<${Section} title="Try it">
    <div class="toolbar"><button type="button" disabled=${state.busy} onClick=${() => attempt("Verification", "verifySmtpAccount", {})}>
      ${state.busy === "Verification" ? "Verifying…" : "Verify the connection"}</button></div>
    <form class="inline" onSubmit=${mail}>
      <div class="field"><label for="testto">Send a test e-mail to</label><input id="testto" name="to" type="email" required /></div>
      <button type="submit" disabled=${state.busy}>${state.busy === "Test e-mail" ? "Sending…" : "Send"}</button></form>
    <div role="status" aria-live="polite">
      <${Trouble} problem=${state.problem} title=${state.what} />
      ${state.result && html`<${Facts}
        of=${[[state.what, html`<${State} is=${state.result.works ? "ok" : "failed"}>${state.result.works ? "works" : `fails at ${state.result.stage}`}
        <//>`], ["Status", state.result.status], ["Answer", state.result.detail], ["Took", milliseconds(state.result.latencyMs)]]} />`}
    </div>
  <//>`;
}
