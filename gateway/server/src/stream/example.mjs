// npm install @nats-io/transport-node @nats-io/jetstream; run with the API key in BILLWIRE_API_KEY
import { connect } from "@nats-io/transport-node";
import { jetstream } from "@nats-io/jetstream";

async function read() {
  const client = await connect({
    servers: "{url}",
    user: "{name}",
    pass: process.env.BILLWIRE_API_KEY,
    inboxPrefix: "{inbox}",
    maxReconnectAttempts: -1,
  });
  try {
    const consumer = await jetstream(client).consumers.get("{stream}", "{consumer}");
    for await (const message of await consumer.consume()) {
      // An event may come twice, with the same id. Acknowledge it once it is stored.
      console.log(message.string());
      message.ack();
    }
  } finally {
    await client.close();
  }
}

for (;;) {
  // The client gives up when the server ends its connection, as it does once a day, or refuses it while the gateway restarts.
  await read().catch((error) => console.error(`NATS: ${error}`));
  await new Promise((resolve) => setTimeout(resolve, 5000));
}
