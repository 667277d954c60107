"""A real SMTP server (aiosmtpd) that reports what it receives.

    smtp_peer.py [--tls starttls|implicit --cert PEM --key PEM] [--user U --password P] [--log-refusals]

Listens on a free port of 127.0.0.1. The first line on stdout is {"port": N}; then one line per accepted mail:
{"from", "to": [...], "tls": bool, "user", "message_id", "subject", "headers": {...}, "text", "html", "raw"}.
With --user nobody sends without logging in; with --tls nobody sends in clear.

What becomes of a recipient is in its name: `bounce…` 550, `defer-once…` 451 the first time, `defer…` 451 always. With
--log-refusals each refusal is a line too: {"refused": recipient, "code": N}.

Ends when stdin is closed.
"""

import argparse
import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys
import threading
import warnings

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

# aiosmtpd warns about passwords over unencrypted connections, which tests use on purpose.
warnings.filterwarnings("ignore", module="aiosmtpd")
logging.getLogger("mail.log").setLevel(logging.ERROR)

arguments = argparse.ArgumentParser()
arguments.add_argument("--tls", choices=["starttls", "implicit"])
arguments.add_argument("--cert")
arguments.add_argument("--key")
arguments.add_argument("--user")
arguments.add_argument("--password")
arguments.add_argument("--log-refusals", action="store_true")
options = arguments.parse_args()


def tell(line):
    print(json.dumps(line), flush=True)


def body(message, kind):
    part = message.get_body((kind,))
    return part.get_content() if part is not None else None


class Mailbox:
    def __init__(self):
        self.deferred = set()

    def refusal(self, recipient):
        if recipient.startswith("bounce"):
            return "550 5.1.1 there is no such mailbox here"
        if recipient.startswith("defer-once"):
            if recipient not in self.deferred:
                self.deferred.add(recipient)
                return "451 4.7.1 try again later"
        elif recipient.startswith("defer"):
            return "451 4.7.1 try again later"
        return None

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        reply = self.refusal(address)
        if reply is not None:
            if options.log_refusals:
                tell({"refused": address, "code": int(reply[:3])})
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        tell(
            {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "tls": server.transport.get_extra_info("ssl_object") is not None,
                "user": session.auth_data.login.decode() if session.authenticated else None,
                "message_id": message["Message-ID"],
                "subject": message["Subject"],
                "headers": {name: str(value) for name, value in message.items()},
                "text": body(message, "plain"),
                "html": body(message, "html"),
                "raw": envelope.original_content.decode("utf-8", "replace"),
            }
        )
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    known = isinstance(data, LoginPassword) and data == LoginPassword(options.user.encode(), (options.password or "").encode())
    # handled=False: aiosmtpd itself answers "535 5.7.8 Authentication credentials invalid".
    return AuthResult(success=known, handled=known, auth_data=data)


async def main():
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
    mailbox = Mailbox()

    def connection():
        return SMTP(
            mailbox,
            hostname="mailbox.test",
            enable_SMTPUTF8=True,
            tls_context=context if options.tls == "starttls" else None,
            require_starttls=options.tls == "starttls",
            authenticator=authenticate if options.user else None,
            auth_required=options.user is not None,
            auth_require_tls=options.tls == "starttls",
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0, ssl=context if options.tls == "implicit" else None)
    tell({"port": server.sockets[0].getsockname()[1]})
    ended = asyncio.Event()
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), loop.call_soon_threadsafe(ended.set)), daemon=True).start()
    await ended.wait()
    server.close()


asyncio.run(main())
