// Secrets that are shown once, after they were made.
import { html, useState } from "../html.js";
import { Action, Dialog } from "./dialog.js";
import { Copy } from "./show.js";

const NAMES = { secret: "signing secret", key: "API key", adminKey: "API key of the new tenant’s administrator" };

/** The secret in the answer of an operation: `{what, text}`. */
export function secretIn(transaction) {
  for (const { after } of transaction?.entities ?? []) {
    for (const [name, what] of Object.entries(NAMES)) if (typeof after?.[name] === "string") return { what, text: after[name] };
    const publicKey = after?.signing?.[0]?.publicKey;
    if (publicKey) return { what: "public key, which the receiver verifies by", text: publicKey };
  }
  return null;
}

export const SecretDialog = ({ secret, close }) => html`<${Dialog} title="Keep this now" close=${close}>
  <p>This is the ${secret.what}. It is shown only once.</p>
  <p><code class="secret">${secret.text}</code></p>
  <div class="buttons"><${Copy} text=${secret.text} label="Copy">Copy<//><button type="button" class="primary" onClick=${close}>I have kept it</button></div>
<//>`;

/** An action whose answer has a secret. */
export function Secretive({ done, ...action }) {
  const [secret, setSecret] = useState(null);
  const finished = (result) => {
    const found = secretIn(result);
    if (found) setSecret(found);
    else done?.(result);
  };
  const close = () => {
    setSecret(null);
    done?.();
  };
  return html`<${Action} ...${action} done=${finished} />${secret && html`<${SecretDialog} secret=${secret} close=${close} />`}`;
}
