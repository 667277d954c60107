"""Verifies webhook calls with the Standard Webhooks project's own library, and reads them with that of CloudEvents.

    verify_webhooks.py SECRET

Per line {"headers": {...}, "body": "..."} on stdin one line on stdout: {"ok": true, "error": null} or {"ok": false, "error": "..."}.
The library refuses timestamps that are more than five minutes away from this machine's clock. Ends when stdin is closed.
"""

import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook

webhook = Webhook(sys.argv[1])
for line in sys.stdin:
    try:
        call = json.loads(line)
        webhook.verify(call["body"], call["headers"])
        event = from_http_event(HTTPMessage(call["headers"], call["body"].encode()))
        if event.get_id() != call["headers"]["webhook-id"]:
            raise ValueError("another event")
        answer = {"ok": True, "error": None}
    except Exception as error:  # any error is the result of this call
        answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
