// Secrets that are shown once, after they were made.
import { html, useState } from "../html.js";
import { Action, Dialog } from "./dialog.js";
import { Copy } from "./show.js";

const NAMES = { secret: "signing secret", key: "API key", adminKey: "API key of the new tenant’s administrator" };

/** What the answer of an operation has to be kept: `{what, text, once}`. */
export function secretIn(transaction) {
  for (const { after } of transaction?.entities ?? []) {
    const name = Object.keys(NAMES).find((one) => typeof after?.[one] === "string");
    if (!name) continue;
    const text = after[name];
    // An endpoint that signs with ed25519 gives its public key in the secret's place.
    return text.startsWith("whpk_") ? { what: "public key, by which the receiver verifies", text, once: false } : { what: NAMES[name], text, once: true };
  }
  return null;
}

export const SecretDialog = ({ secret, close }) => html`<${Dialog} title=${secret.once ? "Keep this now" : "Give this to the receiver"} close=${close}>
  <p>This is the ${secret.what}. ${secret.once ? "It is shown only once." : "It is no secret, and stands on the endpoint’s page too."}</p>
  <p><code class="secret">${secret.text}</code></p>
  <div class="buttons"><${Copy} text=${secret.text} label="Copy">Copy<//>
    <button type="button" class="primary" onClick=${close}>${secret.once ? "I have kept it" : "Close"}</button></div>
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
