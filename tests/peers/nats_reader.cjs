// Reads a stream subscription with @nats-io/jetstream, as `billwire stream credentials` shows it. Arguments: URL, API key, inbox prefix,
// consumer. Prints a line per event.
"use strict";

const { connect } = require("@nats-io/transport-node");
const { jetstream } = require("@nats-io/jetstream");

const [url, key, inbox, consumer] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));

async function main() {
  const client = await connect({
    servers: url,
    user: "javascript",
    pass: key,
    inboxPrefix: inbox,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
  });
  say({ state: "connected" });
  (async () => {
    for await (const status of client.status()) say({ state: status.type, error: status.error && String(status.error) });
  })();
  const found = await jetstream(client).consumers.get("BILLING", consumer);
  for (;;) {
    try {
      for await (const message of await found.consume({ expires: 5000 })) {
        const event = message.json();
        say({ event: event.id, type: event.type, source: event.source, subject: message.subject });
        message.ack();
      }
    } catch (error) {
      say({ error: String(error) });
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

main().catch((error) => {
  say({ refused: String(error) });
  process.exit(1);
});
