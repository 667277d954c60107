# pip install nats-py; run with the API key in BILLWIRE_API_KEY
import asyncio
import os
import sys

import nats


async def read():
    async with await nats.connect(
        "{url}",
        user="{name}",
        password=os.environ["BILLWIRE_API_KEY"],
        inbox_prefix=b"{inbox}",
        max_reconnect_attempts=-1,
    ) as client:
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


async def main():
    while True:
        try:
            await read()
        except (nats.errors.Error, OSError) as error:
            # The client gives up when the server ends its connection, as it does once a day, or refuses it while the gateway restarts.
            print(f"NATS: {error}", file=sys.stderr)
            await asyncio.sleep(5)


asyncio.run(main())
