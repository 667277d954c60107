-- Views over the warehouse, for DuckDB. Run it in this directory:
--
--     duckdb -init duckdb.sql
--
-- Every engine that reads Parquet can read events/*/*.parquet as it is; each event stands there exactly once.

-- One row per event. `payload` is the message as it stood on the stream: a CloudEvents 1.0 JSON object.
CREATE OR REPLACE VIEW events AS
SELECT * FROM read_parquet('events/*/*.parquet', union_by_name = true);

-- One row per object: its newest version. Order comes from versions and sequences, never from clocks. A deleted object
-- keeps its last row, with action 'deleted' and no state.
CREATE OR REPLACE VIEW current_state AS
SELECT
    tenant_id,
    object_type,
    object_id,
    object_version,
    action,
    json_extract(payload, '$.data.after') AS state,
    event_id AS last_event_id,
    event_type AS last_event_type,
    occurred_at AS changed_at
FROM events
WHERE object_id IS NOT NULL
QUALIFY row_number() OVER (
    PARTITION BY tenant_id, object_type, object_id
    ORDER BY object_version DESC, sequence DESC
) = 1;
