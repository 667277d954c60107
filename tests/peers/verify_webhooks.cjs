// Verifies webhook calls with the Standard Webhooks project's own library and reads them with that of CloudEvents, as verify_webhooks.py does.
//
//     node verify_webhooks.cjs SECRET

const { createInterface } = require("node:readline");
const { HTTP } = require("cloudevents");
const { Webhook } = require("standardwebhooks");

const webhook = new Webhook(process.argv[2]);
createInterface({ input: process.stdin }).on("line", (line) => {
  let answer = { ok: true, error: null };
  try {
    const call = JSON.parse(line);
    webhook.verify(call.body, call.headers);
    const event = HTTP.toEvent({ headers: call.headers, body: call.body });
    if (!event.validate() || event.id !== call.headers["webhook-id"]) throw new Error("another event");
  } catch (error) {
    // Any error is the result of this call.
    answer = { ok: false, error: `${error.name}: ${error.message}` };
  }
  console.log(JSON.stringify(answer));
});
