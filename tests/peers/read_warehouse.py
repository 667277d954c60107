"""Reads a warehouse directory the way a DuckDB user does and summarizes it.

    read_warehouse.py DIR

Reads DIR/events/*/*.parquet and prints one line of JSON:
  rows, distinct   number of rows, and of distinct event ids
  ids              the event ids in the order of the files
  by_type          event type -> rows
  files            number of files
  keys             number of ordering keys (a key belongs to a tenant)
  inversions       rows that follow a row of the same ordering key with a higher sequence
  gaps             ordering keys whose sequences are not exactly 1..n
  bad_payloads     rows whose payload is not a JSON object with the row's event id as its `id`
"""

import glob
import json
import os
import sys

import duckdb

pattern = os.path.join(sys.argv[1], "events", "*", "*.parquet")
files = len(glob.glob(pattern))
if files == 0:
    empty = {"rows": 0, "distinct": 0, "ids": [], "by_type": {}, "files": 0, "keys": 0, "inversions": 0, "gaps": 0, "bad_payloads": 0}
    print(json.dumps(empty))
    sys.exit()

database = duckdb.connect()
database.execute(
    """
    CREATE TABLE events AS
    SELECT *, row_number() OVER (ORDER BY filename, file_row_number) AS place
    FROM read_parquet(?, union_by_name = true, filename = true, file_row_number = true)
    """,
    [pattern],
)


def one(query):
    return database.execute(query).fetchone()[0]


print(
    json.dumps(
        {
            "rows": one("SELECT count(*) FROM events"),
            "distinct": one("SELECT count(DISTINCT event_id) FROM events"),
            "ids": [str(row[0]) for row in database.execute("SELECT event_id FROM events ORDER BY place").fetchall()],
            "by_type": dict(database.execute("SELECT event_type, count(*) FROM events GROUP BY event_type ORDER BY event_type").fetchall()),
            "files": files,
            "keys": one("SELECT count(*) FROM (SELECT DISTINCT tenant_id, ordering_key FROM events)"),
            "inversions": one(
                """
                SELECT count(*) FROM (
                    SELECT sequence, max(sequence) OVER (
                        PARTITION BY tenant_id, ordering_key ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                    ) AS highest_before FROM events
                ) WHERE sequence < highest_before
                """
            ),
            "gaps": one(
                """
                SELECT count(*) FROM (
                    SELECT 1 FROM events GROUP BY tenant_id, ordering_key
                    HAVING min(sequence) <> 1 OR max(sequence) <> count(*) OR count(DISTINCT sequence) <> count(*)
                )
                """
            ),
            "bad_payloads": one(
                """
                SELECT count(*) FROM events
                WHERE CASE WHEN json_valid(payload) THEN json_extract_string(payload, '$.id') IS DISTINCT FROM event_id ELSE true END
                """
            ),
        }
    )
)
