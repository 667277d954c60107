# pip install nats-py; run with the API key in BILLWIRE_API_KEY
import asyncio
import os

import nats


async def main():
    client = await nats.connect(
        "{url}",
        user="{name}",
        password=os.environ["BILLWIRE_API_KEY"],
        inbox_prefix=b"{inbox}",
        max_reconnect_attempts=-1,
    )
    subscription = await client.jetstream().pull_subscribe_bind("{consumer}", stream="{stream}")
    while True:
        try:
            messages = await subscription.fetch(100, timeout=30)
        except nats.errors.TimeoutError:
            continue
        for message in messages:
            # An event may come twice, with the same id. Acknowledge it once it is stored.
            print(message.data.decode(), flush=True)
            await message.ack()


asyncio.run(main())
