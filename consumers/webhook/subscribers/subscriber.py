"""Reads a stream subscription of Billwire: takes each event once, tells which events come late, goes on where it was.

    subscriber.py URL API_KEY INBOX_PREFIX CONSUMER

Needs nats-py. `getStreamSubscription` names the URL, the inbox prefix and the consumer. Reads until it is stopped.
"""

import asyncio
import json
import sys

import nats

seen = set()  # In production: a table whose primary key is the id.
last = {}  # The highest sequence of each key.


def take(event):
    """Takes an event once. Whoever stores events does all of this in one transaction: the effect, the id and the sequence."""
    id, key, sequence = event["id"], event["partitionkey"], event["sequence"]
    if id in seen:
        return
    # Sequences have leading zeros, so they compare as texts. A late event must not replace newer state.
    late = sequence < last.get(key, "")
    print(json.dumps({"id": id, "type": event["type"], "key": key, "sequence": sequence, "late": late}), flush=True)
    seen.add(id)
    last[key] = max(sequence, last.get(key, ""))


# [read]
async def read(url, key, inbox_prefix, consumer):
    # Any user name will do: the key alone counts.
    async with await nats.connect(
        url, user="billing-events", password=key, inbox_prefix=inbox_prefix.encode(), max_reconnect_attempts=-1
    ) as client:
        subscription = await client.jetstream().pull_subscribe_bind(consumer, stream="BILLING")
        while True:
            try:
                messages = await subscription.fetch(100, timeout=5)
            except nats.errors.TimeoutError:
                continue  # nothing has happened
            for message in messages:
                take(json.loads(message.data))
                # Only now: an event that is not acknowledged within 30 seconds comes again, also after a crash.
                await message.ack()


async def main():
    while True:
        try:
            await read(*sys.argv[1:5])
        except (nats.errors.Error, OSError) as error:
            # Clients give up when the server ends their connection, which it does once a day, or refuses it, as while the gateway restarts.
            print(f"NATS: {error}", file=sys.stderr)
            await asyncio.sleep(5)
# [/read]


asyncio.run(main())
