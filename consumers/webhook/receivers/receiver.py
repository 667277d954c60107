"""Receives webhooks of Billwire: verifies each call, takes each event once, and tells which events come late.

    receiver.py PORT SECRET[,SECRET...]

A secret is `whsec_...`, or the public key `whpk_...` of an ed25519 pair. Everything is in the standard library, except ed25519: for that,
`pip install cryptography`. Listens on 127.0.0.1 without TLS, because a proxy in front of it has the certificate.
"""

import base64
import hmac
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# More than any event has, so that a stranger cannot fill the memory.
BODY_MAX = 4 * 1024 * 1024


# [verify]
def verify(secrets, headers, body):
    """Whether one of the secrets has signed these bytes, at most five minutes away from now."""
    id, timestamp, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not id or not timestamp.isdecimal() or len(timestamp) > 12 or abs(time.time() - int(timestamp)) > 5 * 60:
        return False
    signed = f"{id}.{timestamp}.".encode() + body
    # During a rotation a call has several signatures. One that fits is enough.
    return any(fits(secret, signature, signed) for signature in signatures.split() for secret in secrets)


def fits(secret, signature, signed):
    kind, _, key = secret.partition("_")
    version, _, text = signature.partition(",")
    if (kind, version) == ("whsec", "v1"):
        expected = base64.b64encode(hmac.digest(base64.b64decode(key), signed, "sha256"))
        # Unlike ==, it takes the same time wherever the first wrong byte is.
        return hmac.compare_digest(expected, text.encode())
    if (kind, version) == ("whpk", "v1a"):
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(base64.b64decode(key)).verify(base64.b64decode(text), signed)
            return True
        except (InvalidSignature, ValueError):
            return False
    return False  # a version or a kind of key that this program does not know
# [/verify]


# [once]
seen = set()  # In production: a table whose primary key is the id.
last = {}  # The highest sequence of each key.
lock = threading.Lock()


def take(event):
    """Takes an event once. Whoever stores events does all of this in one transaction: the effect, the id and the sequence."""
    id, key, sequence = event["id"], event["partitionkey"], event["sequence"]
    with lock:
        if id in seen:
            return
        # Sequences have leading zeros, so they compare as texts. A late event must not replace newer state.
        late = sequence < last.get(key, "")
        print(json.dumps({"id": id, "type": event["type"], "key": key, "sequence": sequence, "late": late}), flush=True)
        seen.add(id)
        last[key] = max(sequence, last.get(key, ""))
# [/once]


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 9 or int(length) > BODY_MAX:
            self.close_connection = True
            return self.answer(413)
        # The bytes as they came: JSON that was read and written again has other bytes, and the signature does not fit.
        body = self.rfile.read(int(length))
        if not verify(sys.argv[2].split(","), self.headers, body):
            return self.answer(400)
        take(json.loads(body))
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
