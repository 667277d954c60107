"""Reads a stream subscription with nats-py, as `billwire stream credentials` shows it. Arguments: URL, API key, inbox prefix, consumer.
Prints a line per event; every fourth is left unacknowledged at first, so that it comes again."""

import asyncio
import json
import sys

import nats

url, key, inbox, consumer = sys.argv[1:5]


def say(**line):
    print(json.dumps(line), flush=True)


async def main():
    async def lost():
        say(state="disconnected")

    async def back():
        say(state="reconnected")

    async def failed(error):
        say(error=str(error))

    async def closed():
        say(state="closed")

    client = await nats.connect(
        url,
        user="python",
        password=key,
        inbox_prefix=inbox.encode(),
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
        disconnected_cb=lost,
        reconnected_cb=back,
        error_cb=failed,
        closed_cb=closed,
    )
    say(state="connected", client=client.client_id)
    subscription = await client.jetstream().pull_subscribe_bind(consumer, stream="BILLING")
    count = 0
    while True:
        try:
            messages = await subscription.fetch(10, timeout=2)
        except asyncio.CancelledError:
            raise
        except Exception:
            await asyncio.sleep(0.1)
            continue
        for message in messages:
            count += 1
            event = json.loads(message.data)
            say(event=event["id"], type=event["type"], source=event["source"], subject=message.subject)
            if count % 4 == 0:
                await message.nak()
            else:
                await message.ack()


asyncio.run(main())
