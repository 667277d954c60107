-- Views over the warehouse, for DuckDB. Run it in this directory:
--
--     duckdb -init duckdb.sql
--
-- Every engine that reads Parquet can read events/*/*.parquet as it is; each event stands there exactly once.

-- One row per event. `payload` is the message as it stood on the stream: a CloudEvents 1.0 JSON object.
CREATE OR REPLACE VIEW events AS
SELECT * FROM read_parquet('events/*/*.parquet', union_by_name = true);

-- When an invoice took the charges of an account, and when it gave them back. It bills those of its own account, but for an invoice at a change of
-- payer that bills others alone, and those of the accounts that it pays for, which have events of that in their own order.
CREATE OR REPLACE VIEW invoice_steps AS
SELECT tenant_id, ordering_key AS account_id, min(sequence) AS sequence, object_id AS invoice_id, action = 'created' AS posted,
    CAST(min(json_extract_string(payload, '$.data.after.cutoff')) AS TIMESTAMPTZ) AS cutoff
FROM events
WHERE object_type = 'invoice'
    AND (
        action = 'created' AND (
            json_extract_string(payload, '$.data.after.kind') <> 'payerChange'
            OR json_extract(payload, '$.data.after.paidForAccountIds') IS NULL
        )
        OR json_extract_string(payload, '$.data.after.status') = 'cancelled'
    )
GROUP BY tenant_id, ordering_key, object_id, action = 'created'
UNION ALL
SELECT tenant_id, ordering_key, sequence, json_extract_string(payload, '$.data.parameters."payerInvoice.id"'),
    event_type = 'account.billed_to_payer', CAST(json_extract_string(payload, '$.data.parameters."payerInvoice.cutoff"') AS TIMESTAMPTZ)
FROM events
WHERE event_type IN ('account.billed_to_payer', 'account.payer_invoice_cancelled');

-- The invoice that a charge is on. Charges are put on an invoice by the thousand, without an event for each: it takes those of its accounts that
-- were recorded before it, occurred before its cutoff, and are on no other invoice.
CREATE OR REPLACE VIEW charge_invoices AS
WITH charges AS (
    SELECT tenant_id, ordering_key AS account_id, object_id AS charge_id, min(sequence) AS sequence,
        CAST(min(json_extract_string(payload, '$.data.after.occurredAt')) AS TIMESTAMPTZ) AS occurred_at
    FROM events
    WHERE object_type = 'chargeableEvent' AND action = 'created'
    GROUP BY tenant_id, ordering_key, object_id
),
met AS (
    SELECT tenant_id, charge_id,
        list(CASE WHEN posted THEN '+' ELSE '-' END || invoice_id ORDER BY invoice_steps.sequence) AS steps
    FROM charges
    JOIN invoice_steps USING (tenant_id, account_id)
    WHERE invoice_steps.sequence > charges.sequence AND (NOT posted OR occurred_at < cutoff)
    GROUP BY tenant_id, charge_id
),
held AS (
    SELECT tenant_id, charge_id,
        list_reduce(list_prepend('', steps), lambda before, step: CASE
            WHEN before = '' AND step[1] = '+' THEN step
            WHEN before <> '' AND step = '-' || before[2:] THEN ''
            ELSE before
        END) AS taken
    FROM met
)
SELECT tenant_id, charge_id, taken[2:] AS invoice_id FROM held WHERE taken <> '';

-- One row per object: its newest version. Order comes from versions and sequences, never from clocks. A deleted object
-- keeps its last row, with action 'deleted' and no state. A charge has the state and the invoice that it has now, and the version that its last
-- event told: billing counts it up without an event.
CREATE OR REPLACE VIEW current_state AS
WITH newest AS (
    SELECT *
    FROM events
    WHERE object_id IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY tenant_id, object_type, object_id
        ORDER BY object_version DESC, sequence DESC
    ) = 1
)
SELECT
    newest.tenant_id,
    object_type,
    object_id,
    object_version,
    action,
    CASE
        WHEN object_type <> 'chargeableEvent' OR action = 'deleted' THEN json_extract(payload, '$.data.after')
        ELSE json_merge_patch(
            json_extract(payload, '$.data.after'),
            json_object('state', CASE WHEN invoice_id IS NULL THEN 'unbilled' ELSE 'billed' END, 'invoiceId', invoice_id)
        )
    END AS state,
    event_id AS last_event_id,
    event_type AS last_event_type,
    occurred_at AS changed_at
FROM newest
LEFT JOIN charge_invoices ON object_type = 'chargeableEvent' AND charge_invoices.tenant_id = newest.tenant_id AND charge_id = object_id;
