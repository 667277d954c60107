"""Tries what a subscriber must not be able to do. Arguments: URL, API key, own inbox prefix, own consumer, own tenant, another tenant,
its consumer, its inbox prefix, a consumer of the gateway. Prints how each attempt was taken: the server's words, or null."""

import asyncio
import json
import sys

import nats

url, key, inbox, own, tenant, other, foreign, foreign_inbox, slot = sys.argv[1:10]

API = "$JS.API"
PUBLISH = [
    f"billing.{tenant}.invoice.posted.00.k",
    f"billing.{other}.invoice.posted.00.k",
    "billing.x",
    "anything",
    f"{API}.INFO",
    f"{API}.STREAM.INFO.BILLING",
    f"{API}.STREAM.LIST",
    f"{API}.STREAM.NAMES",
    f"{API}.STREAM.CREATE.MINE",
    f"{API}.STREAM.UPDATE.BILLING",
    f"{API}.STREAM.DELETE.BILLING",
    f"{API}.STREAM.PURGE.BILLING",
    f"{API}.STREAM.MSG.GET.BILLING",
    f"{API}.STREAM.MSG.DELETE.BILLING",
    f"{API}.STREAM.SNAPSHOT.BILLING",
    f"{API}.STREAM.RESTORE.MINE",
    f"{API}.STREAM.LEADER.STEPDOWN.BILLING",
    f"{API}.DIRECT.GET.BILLING",
    f"{API}.DIRECT.GET.BILLING.billing.{other}.invoice.posted.00.k",
    f"{API}.CONSUMER.CREATE.BILLING",
    f"{API}.CONSUMER.CREATE.BILLING.mine.billing.{other}.>",
    f"{API}.CONSUMER.CREATE.BILLING.{own}",
    f"{API}.CONSUMER.DURABLE.CREATE.BILLING.mine",
    f"{API}.CONSUMER.LIST.BILLING",
    f"{API}.CONSUMER.NAMES.BILLING",
    f"{API}.CONSUMER.DELETE.BILLING.{own}",
    f"{API}.CONSUMER.DELETE.BILLING.{foreign}",
    f"{API}.CONSUMER.DELETE.BILLING.{slot}",
    f"{API}.CONSUMER.PAUSE.BILLING.{own}",
    f"{API}.CONSUMER.PAUSE.BILLING.{foreign}",
    f"{API}.CONSUMER.RESET.BILLING.{own}",
    f"{API}.CONSUMER.RESET.BILLING.{foreign}",
    f"{API}.CONSUMER.UNPIN.BILLING.{own}",
    f"{API}.CONSUMER.INFO.BILLING.{foreign}",
    f"{API}.CONSUMER.INFO.BILLING.{slot}",
    f"{API}.CONSUMER.MSG.NEXT.BILLING.{foreign}",
    f"{API}.CONSUMER.MSG.NEXT.BILLING.{slot}",
    f"{API}.CONSUMER.MSG.NEXT.BILLING.warehouse",
    f"{API}.CONSUMER.MSG.NEXT.BILLING.dwh",
    f"$JS.BILLWIRE.API.CONSUMER.INFO.BILLING.{foreign}",
    "$JS.BILLWIRE.API.STREAM.INFO.BILLING",
    f"$JS.ACK.BILLING.{foreign}.1.1.1.1.0",
    f"$JS.ACK.BILLING.{slot}.1.1.1.1.0",
    f"$JS.ACK._.x.BILLING.{foreign}.1.1.1.1.0",
    f"$JS.ACK._.x.BILLING.{slot}.1.1.1.1.0",
    "$JS.FC.BILLING.x",
    "$SYS.REQ.USER.AUTH",
    "$SYS.REQ.USER.INFO",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.SERVER.PING.CONNZ",
    "$SYS.REQ.ACCOUNT.PING.CONNZ",
    "$SRV.PING",
    "$SRV.INFO",
    "$KV.bucket.key",
    "$O.bucket.C.chunk",
    "_INBOX.x",
    f"{foreign_inbox}.x",
    "_R_.x",
]
SUBSCRIBE = [
    ">",
    "*",
    "*.>",
    "billing.>",
    f"billing.{tenant}.>",
    f"billing.{other}.>",
    "_INBOX.>",
    f"{foreign_inbox}.>",
    "*.*",
    "$SYS.>",
    "$SYS.REQ.USER.AUTH",
    "$JS.>",
    f"{API}.>",
    f"{API}.CONSUMER.MSG.NEXT.BILLING.*",
    "$JS.ACK.>",
    "$JS.EVENT.ADVISORY.>",
    "$SRV.>",
    "$KV.>",
    "_R_.>",
]
# Where an answer to a pull of one's own must not get to.
REPLIES = [
    f"billing.{tenant}.invoice.posted.00.k",
    f"billing.{other}.invoice.posted.00.k",
    f"{foreign_inbox}.x",
    f"{API}.STREAM.PURGE.BILLING",
    f"{API}.STREAM.DELETE.BILLING",
    f"{API}.CONSUMER.DELETE.BILLING.{foreign}",
    f"{API}.CONSUMER.DELETE.BILLING.{slot}",
    f"{API}.CONSUMER.MSG.NEXT.BILLING.{foreign}",
    f"{API}.CONSUMER.MSG.NEXT.BILLING.{slot}",
    f"$JS.ACK.BILLING.{foreign}.1.1.1.1.0",
    f"$JS.ACK.BILLING.{slot}.1.1.1.1.0",
    f"$JS.ACK._.x.BILLING.{foreign}.1.1.1.1.0",
    f"$JS.ACK._.x.BILLING.{slot}.1.1.1.1.0",
    "$SYS.REQ.USER.AUTH",
    "$SYS.REQ.SERVER.PING.CONNZ",
    "leak.x",
]


async def main():
    errors = []

    async def failed(error):
        errors.append(str(error))

    client = await nats.connect(url, user="x", password=key, inbox_prefix=inbox.encode(), error_cb=failed, allow_reconnect=False)

    async def told():
        for _ in range(40):
            if errors:
                break
            await client.flush()
            await asyncio.sleep(0.02)
        words = errors[0] if errors else None
        errors.clear()
        return words

    async def ignored(message):
        print(json.dumps({"what": "heard", "subject": message.subject, "words": None}), flush=True)

    for subject in PUBLISH:
        await client.publish(subject, b"", reply=f"{inbox}.x")
        print(json.dumps({"what": "publish", "subject": subject, "words": await told()}), flush=True)
    for subject in SUBSCRIBE:
        await client.subscribe(subject, cb=ignored)
        print(json.dumps({"what": "subscribe", "subject": subject, "words": await told()}), flush=True)
        await client.subscribe(subject, queue="q", cb=ignored)
        print(json.dumps({"what": "share", "subject": subject, "words": await told()}), flush=True)
    # With a message as the answer, with the server's own word that there is none, and by the acknowledgement that asks for the next.
    subscription = await client.jetstream().pull_subscribe_bind(own, stream="BILLING")
    [first] = await subscription.fetch(1, timeout=10)
    for subject in REPLIES:
        for body in (b'{"batch":1,"no_wait":true}', b'{"batch":1,"expires":50000000}'):
            await client.publish(f"{API}.CONSUMER.MSG.NEXT.BILLING.{own}", body, reply=subject)
            await client.publish(f"{API}.CONSUMER.INFO.BILLING.{own}", b"", reply=subject)
        await client.publish(first.reply, b"+NXT", reply=subject)
        await client.flush()
        await asyncio.sleep(0.1)
    print(json.dumps({"what": "done", "attempts": len(PUBLISH) + 2 * len(SUBSCRIBE) + 5 * len(REPLIES)}), flush=True)
    await client.close()


asyncio.run(main())
