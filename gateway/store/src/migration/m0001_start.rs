//! The first tables. Moments are microseconds UTC; ids are UUIDs; objects are JSON text in `body`.

use sea_orm_migration::{prelude::*, sea_orm::DatabaseBackend};

pub struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_start"
    }
}

/// The tables of platform objects: a name, the noun's own columns, and more indexes as (name, columns).
type ObjectTable = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Every noun's table. [`object_statements`] has the base columns.
///
/// What an account's objects refer to across accounts (a bill cycle, a package) is a foreign key: such a reference is made under the
/// account's lock and deleting its target happens under another, so the database has the last word.
const OBJECTS: &[ObjectTable] = &[
    ("bill_cycle", "", &[]),
    ("package", "currency TEXT NOT NULL", &[]),
    (
        "account",
        "bill_cycle_id {uuid} NOT NULL REFERENCES bill_cycle (id), planned_bill_cycle_id {uuid} REFERENCES bill_cycle (id)",
        &[("account_cycle", "tenant, bill_cycle_id, id"), ("account_planned_cycle", "planned_bill_cycle_id")],
    ),
    ("contact", "", &[]),
    ("package_subscription", "package_id {uuid} NOT NULL REFERENCES package (id)", &[("package_subscription_package", "package_id, id")]),
    (
        "chargeable_event",
        "service_id {uuid}, kind TEXT NOT NULL, occurred_at BIGINT NOT NULL, net_amount BIGINT NOT NULL,
         invoice_id {uuid}, search TEXT NOT NULL",
        &[
            ("chargeable_event_service", "service_id) WHERE (service_id IS NOT NULL"),
            ("chargeable_event_occurred", "tenant, occurred_at, id"),
            ("chargeable_event_unbilled", "account_id, occurred_at) WHERE (invoice_id IS NULL"),
            ("chargeable_event_invoice", "invoice_id) WHERE (invoice_id IS NOT NULL"),
        ],
    ),
    (
        "adjustment",
        "chargeable_event_id {uuid} NOT NULL, invoice_id {uuid}",
        &[
            ("adjustment_charge", "chargeable_event_id"),
            ("adjustment_pending", "account_id) WHERE (status = 'pending'"),
            ("adjustment_invoice", "invoice_id) WHERE (invoice_id IS NOT NULL"),
        ],
    ),
    (
        "invoice",
        "bill_run_id {uuid}, overdue_since BIGINT",
        &[
            ("invoice_run", "bill_run_id, id) WHERE (bill_run_id IS NOT NULL"),
            ("invoice_overdue", "tenant, id) WHERE (overdue_since IS NOT NULL"),
        ],
    ),
    (
        "bill_run",
        "bill_cycle_id {uuid} NOT NULL REFERENCES bill_cycle (id)",
        &[("bill_run_cycle", "bill_cycle_id, id"), ("bill_run_running", "id) WHERE (status = 'running'")],
    ),
    (
        "usage_identifier",
        "service_id {uuid} NOT NULL, kind TEXT NOT NULL, value TEXT NOT NULL",
        &[("usage_identifier_service", "service_id")],
    ),
    ("bucket", "service_id {uuid} NOT NULL", &[("bucket_service", "service_id")]),
    ("contract", "", &[]),
    ("credit", "remaining BIGINT NOT NULL", &[("credit_remaining", "account_id) WHERE (remaining > 0")]),
    ("payment", "", &[]),
    ("refund", "payment_id {uuid} NOT NULL", &[("refund_payment", "payment_id")]),
    ("service", "package_subscription_id {uuid}", &[("service_subscription", "package_subscription_id, id")]),
];

/// The statements that make a noun's table: unique external ids, lists by id, by account, and what is due.
fn object_statements((name, own, indexes): &ObjectTable) -> Vec<String> {
    let own = if own.is_empty() { String::new() } else { format!("{own}, ") };
    let mut statements = vec![
        format!(
            "CREATE TABLE {name} (id {{uuid}} PRIMARY KEY, tenant TEXT NOT NULL, version BIGINT NOT NULL, external_id TEXT, account_id {{uuid}},
             status TEXT, due_at BIGINT, created_at BIGINT NOT NULL, {own}body TEXT NOT NULL)"
        ),
        format!("CREATE UNIQUE INDEX {name}_external_id ON {name} (tenant, external_id) WHERE external_id IS NOT NULL"),
        format!("CREATE INDEX {name}_list ON {name} (tenant, id)"),
        format!("CREATE INDEX {name}_account ON {name} (account_id, id) WHERE account_id IS NOT NULL"),
        format!("CREATE INDEX {name}_due ON {name} (due_at) WHERE due_at IS NOT NULL"),
    ];
    statements.extend(indexes.iter().map(|(index, columns)| format!("CREATE INDEX {index} ON {name} ({columns})")));
    statements
}

/// `{uuid}` and `{serial}` differ between the databases; all else is common SQL. SQLite's AUTOINCREMENT keeps positions from
/// being used again after a row is deleted.
const TABLES: &[&str] = &[
    // Two accounts can ask for the same value at once, each under its own lock, so the database has the last word.
    "CREATE UNIQUE INDEX usage_identifier_value ON usage_identifier (tenant, kind, value)",
    "CREATE TABLE configuration (id {uuid} PRIMARY KEY, tenant TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, version BIGINT NOT NULL,
        start_position BIGINT NOT NULL, created_at BIGINT NOT NULL, body TEXT NOT NULL, secrets TEXT)",
    "CREATE UNIQUE INDEX configuration_name ON configuration (tenant, kind, name)",
    "CREATE TABLE business_transaction (id {uuid} PRIMARY KEY, tenant TEXT NOT NULL, operation TEXT NOT NULL, account_id {uuid},
        occurred_at BIGINT NOT NULL, object_id TEXT, body TEXT NOT NULL)",
    "CREATE INDEX business_transaction_time ON business_transaction (tenant, occurred_at, id)",
    "CREATE INDEX business_transaction_account ON business_transaction (account_id, occurred_at, id) WHERE account_id IS NOT NULL",
    "CREATE INDEX business_transaction_operation ON business_transaction (tenant, operation, occurred_at, id)",
    "CREATE INDEX business_transaction_object ON business_transaction (tenant, object_id) WHERE object_id IS NOT NULL",
    "CREATE TABLE event (position {serial}, id {uuid} NOT NULL UNIQUE, tenant TEXT NOT NULL, ordering_key TEXT NOT NULL,
        sequence BIGINT NOT NULL, kind TEXT NOT NULL, object_id TEXT NOT NULL, transaction_id {uuid} NOT NULL,
        occurred_at BIGINT NOT NULL, recorded_at BIGINT NOT NULL, body TEXT NOT NULL, private TEXT, UNIQUE (tenant, ordering_key, sequence))",
    "CREATE INDEX event_transaction ON event (transaction_id)",
    "CREATE INDEX event_time ON event (tenant, occurred_at, id)",
    "CREATE INDEX event_kind ON event (tenant, kind, occurred_at, id)",
    "CREATE INDEX event_object ON event (tenant, object_id)",
    "CREATE TABLE billed_account (run_id {uuid} NOT NULL, account_id {uuid} NOT NULL, outcome TEXT NOT NULL, invoice_id {uuid},
        total BIGINT NOT NULL, currency TEXT NOT NULL, PRIMARY KEY (run_id, account_id))",
    "CREATE TABLE outbox (position BIGINT PRIMARY KEY)",
    "CREATE TABLE ordering_key (tenant TEXT NOT NULL, key TEXT NOT NULL, last_sequence BIGINT NOT NULL, PRIMARY KEY (tenant, key))",
    // The consumers read this one key of all tenants at each pull.
    "CREATE INDEX ordering_key_configuration ON ordering_key (key) WHERE key = 'configuration'",
    "CREATE TABLE idempotency (tenant TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL,
        status INTEGER NOT NULL, sealed BOOLEAN NOT NULL, body TEXT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (tenant, key))",
    "CREATE INDEX idempotency_age ON idempotency (created_at)",
    "CREATE TABLE lease (name TEXT PRIMARY KEY, owner TEXT NOT NULL, fence BIGINT NOT NULL, expires_at BIGINT NOT NULL)",
    "CREATE TABLE delivery (id {uuid} PRIMARY KEY, tenant TEXT NOT NULL, event_id {uuid} NOT NULL, event_type TEXT NOT NULL,
        queue_id {uuid} NOT NULL, partition INTEGER NOT NULL, subscription_id {uuid} NOT NULL, lane_id {uuid} NOT NULL, ordering_key TEXT NOT NULL,
        sequence BIGINT NOT NULL, position BIGINT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, forgiven INTEGER NOT NULL,
        next_attempt_at BIGINT, last_status INTEGER, last_detail TEXT NOT NULL, last_latency_us BIGINT NOT NULL, last_attempt_at BIGINT,
        created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)",
    // By lane first: deliveries that wait for a closed target must not slow down the reads of those that are due for others.
    "CREATE INDEX delivery_due ON delivery (queue_id, partition, lane_id, next_attempt_at) WHERE state = 'waiting'",
    "CREATE INDEX delivery_lane ON delivery (lane_id, ordering_key, sequence) WHERE state IN ('waiting', 'blocking')",
    "CREATE INDEX delivery_dead ON delivery (tenant, created_at, id) WHERE state IN ('dead', 'blocking')",
    "CREATE INDEX delivery_given_up ON delivery (lane_id) WHERE state IN ('dead', 'blocking', 'discarded')",
    "CREATE INDEX delivery_list ON delivery (tenant, created_at, id)",
    "CREATE TABLE attempt (delivery_id {uuid} NOT NULL, number INTEGER NOT NULL, at BIGINT NOT NULL, latency_us BIGINT NOT NULL,
        status INTEGER, detail TEXT NOT NULL, PRIMARY KEY (delivery_id, number))",
    "CREATE TABLE recipient (delivery_id {uuid} NOT NULL, address TEXT NOT NULL, state TEXT NOT NULL, status INTEGER, detail TEXT NOT NULL,
        at BIGINT NOT NULL, PRIMARY KEY (delivery_id, address))",
    "CREATE TABLE replay (id {uuid} PRIMARY KEY, tenant TEXT NOT NULL, subscription_id {uuid} NOT NULL, from_at BIGINT NOT NULL,
        to_at BIGINT NOT NULL, event_types TEXT NOT NULL, dry_run BOOLEAN NOT NULL, state TEXT NOT NULL, cursor BIGINT NOT NULL,
        last_position BIGINT NOT NULL, looked_at BIGINT NOT NULL, matched BIGINT NOT NULL, created_at BIGINT NOT NULL)",
    "CREATE INDEX replay_list ON replay (tenant, created_at, id)",
    "CREATE INDEX replay_collecting ON replay (id) WHERE state = 'collecting'",
    "CREATE TABLE queue_progress (queue_id {uuid} NOT NULL, partition INTEGER NOT NULL, pending BIGINT NOT NULL, delivered BIGINT NOT NULL,
        failed BIGINT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (queue_id, partition))",
    // The health of targets that fail.
    "CREATE TABLE health (target_id {uuid} PRIMARY KEY, tenant TEXT NOT NULL, failing_since BIGINT NOT NULL, failures BIGINT NOT NULL,
        open_until BIGINT, wait_ms BIGINT NOT NULL)",
    "CREATE TABLE api_key (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, scopes TEXT NOT NULL,
        created_at BIGINT NOT NULL, revoked_at BIGINT)",
    "CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE warehouse_batch (id {serial}, written BOOLEAN NOT NULL, created_at BIGINT NOT NULL)",
    "CREATE INDEX warehouse_batch_open ON warehouse_batch (id) WHERE NOT written",
    "CREATE TABLE warehouse_event (event_id {uuid} PRIMARY KEY, batch BIGINT NOT NULL)",
    "CREATE INDEX warehouse_event_batch ON warehouse_event (batch)",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    /// Whole or not at all, on SQLite too: a stop in the middle would leave tables that no later start knows of.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let (uuid, serial) = match manager.get_database_backend() {
            DatabaseBackend::Postgres => ("UUID", "BIGSERIAL PRIMARY KEY"),
            _ => ("BLOB", "INTEGER PRIMARY KEY AUTOINCREMENT"),
        };
        let objects = OBJECTS.iter().flat_map(object_statements);
        for statement in objects.chain(TABLES.iter().map(|statement| (*statement).to_owned())) {
            let statement = statement.replace("{uuid}", uuid).replace("{serial}", serial);
            manager.get_connection().execute_unprepared(&statement).await?;
        }
        Ok(())
    }
}
