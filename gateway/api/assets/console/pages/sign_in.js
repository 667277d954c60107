// Signing in with an API key, which is tried before it is kept.
import { asked, BASE, call } from "../api.js";
import { takeCaller } from "../caller.js";
import { tenantZone } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { dropNames } from "../names.js";
import { signIn } from "../session.js";
import { Trouble } from "../parts/notice.js";

export function SignIn({ notice }) {
  const [state, setState] = useState({});
  // Nothing of the tenant that was signed in before is left.
  useEffect(() => {
    dropNames();
    asked.set([]);
    tenantZone.set("UTC");
  }, []);
  const enter = async (event) => {
    event.preventDefault();
    const text = event.target.elements.key.value.trim();
    if (!/^[\x21-\x7e]+$/.test(text)) return setState({ problem: { title: "This is not an API key",
      detail: "A key is one line of letters, digits and signs, without spaces." } });
    setState({ busy: true });
    const problem = await tried(text);
    if (problem) setState({ problem });
  };
  return html`<main id="main" class="signin">
    <h1>Billwire console</h1>
    ${notice && html`<p role="status">${notice}</p>`}
    <form onSubmit=${enter}>
      <div class="field">
        <label for="key">API key</label>
        <input id="key" name="key" type="password" required autocomplete="off" spellcheck=${false} aria-describedby="keyhelp" autofocus />
        <p class="help" id="keyhelp">The key stays in this browser tab and is forgotten when the tab is closed. Its scopes decide what you see.</p>
      </div>
      <${Trouble} problem=${state.problem} />
      <button type="submit" class="primary" disabled=${state.busy}>${state.busy ? "Trying the key…" : "Sign in"}</button>
    </form>
    <p class="faint">After <code>billwire dev</code>, the key is in <code>dev/admin.key</code> of the data folder. The API is described at <a
      href=${`${BASE}docs`}>docs</a>.</p>
  </main>`;
}

/** The key is kept if the gateway says whose it is; else the problem is given back. */
async function tried(text) {
  try {
    const caller = await call("getCaller", { quiet: true, key: text });
    signIn(text);
    takeCaller(caller);
    return null;
  } catch (problem) {
    return problem;
  }
}
