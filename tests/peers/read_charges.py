"""Reads the charges of a warehouse directory through the views that lie in it, the way a DuckDB user does.

    read_charges.py DIR

Prints one line of JSON: by the charge's id its state, its invoice's id or null, and its net amount.
"""

import json
import os
import sys

import duckdb

os.chdir(sys.argv[1])
database = duckdb.connect()
with open("duckdb.sql", encoding="utf-8") as views:
    database.execute(views.read())
rows = database.execute("SELECT object_id, state FROM current_state WHERE object_type = 'chargeableEvent' AND action <> 'deleted'").fetchall()
states = {charge: json.loads(state) for charge, state in rows}
print(json.dumps({charge: [state["state"], state.get("invoiceId"), state["netAmount"]["amount"]] for charge, state in states.items()}))
