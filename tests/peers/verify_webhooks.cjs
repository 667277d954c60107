// Verifies webhook calls with the Standard Webhooks project's own library, as verify_webhooks.py does.
//
//     node verify_webhooks.cjs SECRET

const { createInterface } = require("node:readline");
const { Webhook } = require("standardwebhooks");

const webhook = new Webhook(process.argv[2]);
createInterface({ input: process.stdin }).on("line", (line) => {
  let answer = { ok: true, error: null };
  try {
    const call = JSON.parse(line);
    webhook.verify(call.body, call.headers);
  } catch (error) {
    // Any error is the result of this call.
    answer = { ok: false, error: `${error.name}: ${error.message}` };
  }
  console.log(JSON.stringify(answer));
});
