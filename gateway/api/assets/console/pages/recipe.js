// How a receiver verifies a call.
import { html } from "../html.js";
import { Text } from "../parts/show.js";

const NODE = `// npm install standardwebhooks
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.BILLWIRE_SECRET); // whsec_…
// \`body\` is the request's body as it came: its bytes, not parsed.
const event = webhook.verify(body, request.headers); // throws if the call is not genuine`;

const PYTHON = `# pip install standardwebhooks
import os
from standardwebhooks import Webhook

webhook = Webhook(os.environ["BILLWIRE_SECRET"])  # whsec_…
# \`body\` is the request's body as it came: its bytes, not parsed.
event = webhook.verify(body, request.headers)  # raises if the call is not genuine`;

const SHELL = `# What is signed: the id, the timestamp and the body, with dots between.
secret=$(printf %s "\${BILLWIRE_SECRET#whsec_}" | base64 -d | xxd -p -c 256)
printf '%s.%s.%s' "$WEBHOOK_ID" "$WEBHOOK_TIMESTAMP" "$BODY" |
  openssl dgst -sha256 -mac HMAC -macopt "hexkey:$secret" -binary | base64
# webhook-signature has it behind "v1,". Refuse timestamps older than five minutes.`;

/** Recipes by language; ed25519 signatures are verified by the public key. */
export const Recipe = ({ algorithm }) => html`<details class="card"><summary>How the receiver verifies a call</summary>
  <p>Each call has <code>webhook-id</code>, <code>webhook-timestamp</code> and <code>webhook-signature</code> (Standard Webhooks 1.0). Verify the signature over the body’s own bytes, then answer 2xx. A repeat has the same <code>webhook-id</code>.</p>
  ${algorithm === "ed25519" ? html`<p>This endpoint signs with ed25519: a signature is <code>v1a,</code> and base64 of an ed25519 signature over <code>id.timestamp.body</code>. Verify it with the public key above, after <code>whpk_</code>.</p>` : html`
    <h3>Node.js</h3><${Text} text=${NODE} label="Recipe for Node.js" />
    <h3>Python</h3><${Text} text=${PYTHON} label="Recipe for Python" />
    <h3>Shell</h3><${Text} text=${SHELL} label="Recipe for a shell" />`}
</details>`;
