// npm install @nats-io/transport-node @nats-io/jetstream; run with the API key in BILLWIRE_API_KEY
import { connect } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";

const client = await connect({
  servers: "{url}",
  user: "{name}",
  pass: process.env.BILLWIRE_API_KEY,
  inboxPrefix: "{inbox}",
  maxReconnectAttempts: -1,
});
const consumer = await jetstream(client).consumers.get("{stream}", "{consumer}");
for await (const message of await consumer.consume()) {
  // An event may come twice, with the same id. Acknowledge it once it is stored.
  console.log(message.string());
  message.ack();
}
