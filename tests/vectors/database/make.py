"""Makes the databases of an earlier version that tests/it/upgrade.rs opens.

Usage: tools/with-services python3 tests/vectors/database/make.py PROGRAM VERSION
Runs PROGRAM (a `billwire` of that version) on SQLite and PostgreSQL, plays a short story whose last delivery waits in a paused queue, stops it,
and writes the databases as SQL: <version>-sqlite.sql and <version>-postgres.sql.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).parent
KEY, MASTER = "test-admin-key", "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80="


def story(base):
    def call(method, path, body=None):
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        request = urllib.request.Request(base + path, json.dumps(body).encode() if body is not None else None, headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            sys.exit(f"{method} {path}: {refused.read().decode()}")

    def create(path, body):
        return call("POST", path, body)["entities"][0]["id"]

    cycle = create("/v1/bill-cycles", {"externalId": "MONTHLY-1", "name": "Monthly", "period": "month", "billingDay": 1})
    endpoint = create("/v1/webhook-endpoints", {"name": "e", "url": "https://hooks.receiver.example", "auth": {"type": "bearer", "token": "t0ken"}})
    queue = create("/v1/queues", {"name": "q", "mode": "in_order", "eventTypes": ["*"]})
    create("/v1/subscriptions", {"name": "s", "queueId": queue, "action": {"type": "webhook", "webhookEndpointId": endpoint}})
    call("POST", f"/v1/queues/{queue}/pause", {})
    account = create("/v1/accounts", {"externalId": "CRM-1", "name": "Acme", "currency": "EUR", "billCycle": cycle})
    create("/v1/contacts", {"account": account, "role": "billing", "name": "Ada", "email": "ada@example.org"})
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    call("POST", "/v1/event-types", {"name": "reading", "title": "Reading", "orderingKey": "key", "schema": schema})
    call("POST", "/v1/events", {"items": [{"type": "custom.reading", "key": "k", "data": {"n": 1}}]})
    charge = {"externalId": "C-1", "account": account, "type": "data", "unit": "MB", "quantity": "5", "amount": {"amount": "4.00", "currency": "EUR"},
              "occurredAt": "2026-01-01T00:00:00Z"}
    call("POST", "/v1/chargeable-events", {"items": [charge]})
    # Everything is on the stream and seen by the paused queue before the stop.
    time.sleep(3)


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def run(program, database, data):
    address = f"127.0.0.1:{port()}"
    environment = {"PATH": os.environ["PATH"], "BILLWIRE_NATS_SERVER": os.environ["BILLWIRE_NATS_SERVER"], "BILLWIRE_ADMIN_KEY": KEY,
                   "BILLWIRE_MASTER_KEY": MASTER, "BILLWIRE_LISTEN": address, "BILLWIRE_DATA_DIR": str(data), "BILLWIRE_DATABASE_URL": database}
    gateway = subprocess.Popen([program, "serve"], env=environment)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://{address}/livez")
                break
            except OSError:
                time.sleep(0.1)
        story(f"http://{address}")
    finally:
        gateway.send_signal(signal.SIGTERM)
        gateway.wait()


def main(program, version):
    folder = pathlib.Path(tempfile.mkdtemp())
    database = folder / "b.db"
    run(program, f"sqlite://{database}", folder / "data-sqlite")
    with sqlite3.connect(database) as connection:
        (HERE / f"{version}-sqlite.sql").write_text("\n".join(connection.iterdump()) + "\n")
    server, name = os.environ["BILLWIRE_TEST_POSTGRES"].rsplit("/", 1)
    subprocess.run(["psql", f"{server}/{name}", "-qc", "CREATE DATABASE upgrade"], check=True)
    run(program, f"{server}/upgrade", folder / "data-postgres")
    dump = subprocess.run(["pg_dump", "--inserts", "--no-owner", f"{server}/upgrade"], check=True, capture_output=True, text=True).stdout
    # psql's own commands are not SQL.
    (HERE / f"{version}-postgres.sql").write_text("".join(line for line in dump.splitlines(True) if not line.startswith("\\")))
    shutil.rmtree(folder)


main(*sys.argv[1:])
