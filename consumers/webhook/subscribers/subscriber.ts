// Reads a stream subscription of Billwire: takes each event once, tells which events come late, goes on where it was.
//
//     node subscriber.ts URL API_KEY INBOX_PREFIX CONSUMER
//
// Needs @nats-io/transport-node and @nats-io/jetstream. `getStreamSubscription` names the URL, the inbox prefix and the consumer. Reads until it
// is stopped.

import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

type Event = { id: string; type: string; partitionkey: string; sequence: string };

const seen = new Set<string>(); // In production: a table whose primary key is the id.
const last = new Map<string, string>(); // The highest sequence of each key.

/** Takes an event once. Whoever stores events does all of this in one transaction: the effect, the id and the sequence. */
function take({ id, type, partitionkey: key, sequence }: Event): void {
  if (seen.has(id)) return;
  // Sequences have leading zeros, so they compare as texts. A late event must not replace newer state.
  const late = sequence < (last.get(key) ?? "");
  console.log(JSON.stringify({ id, type, key, sequence, late }));
  seen.add(id);
  if (!late) last.set(key, sequence);
}

// [read]
async function read(url: string, key: string, inboxPrefix: string, name: string): Promise<void> {
  // Any user name will do: the key alone counts.
  const client = await connect({ servers: url, user: "billing-events", pass: key, inboxPrefix, maxReconnectAttempts: -1 });
  try {
    const consumer = await jetstream(client).consumers.get("BILLING", name);
    for await (const message of await consumer.consume()) {
      take(message.json<Event>());
      // Only now: an event that is not acknowledged within 30 seconds comes again, also after a crash.
      message.ack();
    }
  } finally {
    await client.close();
  }
}

const [url, key, inboxPrefix, name] = process.argv.slice(2);
for (;;) {
  // Clients give up when the server ends their connection, which it does once a day, or refuses it, as while the gateway restarts.
  await read(url, key, inboxPrefix, name).catch((error) => console.error(`NATS: ${error}`));
  await new Promise((resolve) => setTimeout(resolve, 5000));
}
// [/read]
