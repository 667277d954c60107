//! The columns of a row. Pure: the same events give the same rows.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use billwire_delivery::event::Event;
use billwire_schemas::events::envelope::{Action, Envelope};

/// The index of the column `object_id`.
pub const OBJECT_ID: usize = 5;

/// The columns. New columns are added only at the end and are nullable, so that older and newer files can be read together.
///
/// A nullable column is null only for an event in an unknown envelope. Such an event is loaded too, because refusing it would block all
/// events after it.
pub fn schema() -> Schema {
    let text = |name, null| Field::new(name, DataType::Utf8, null);
    Schema::new(vec![
        text("event_id", false),
        text("event_type", false),
        Field::new("schema_version", DataType::Int32, false),
        text("tenant_id", false),
        text("object_type", true),
        text("object_id", true),
        Field::new("object_version", DataType::Int64, true),
        text("action", true),
        text("ordering_key", false),
        Field::new("sequence", DataType::Int64, false),
        text("transaction_id", true),
        Field::new("occurred_at", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        text("payload", false),
    ])
}

/// One row for each of `events`, in their order.
///
/// # Errors
/// None that is known: columns and schema are defined together here.
pub fn rows(events: &[Event]) -> Result<RecordBatch, ArrowError> {
    let envelopes: Vec<Option<Envelope>> = events.iter().map(|event| serde_json::from_slice(&event.body).ok()).collect();
    let envelope = || envelopes.iter().map(Option::as_ref);
    let object = || envelope().map(|envelope| envelope.map(|e| &e.data.object));
    let text = |values: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let maybe_text = |values: Vec<Option<String>>| -> ArrayRef { Arc::new(StringArray::from(values)) };

    let occurred_at: TimestampMicrosecondArray = envelope().map(|envelope| envelope.map(|e| e.time.timestamp_micros())).collect();
    let columns: Vec<ArrayRef> = vec![
        text(events.iter().map(|event| event.id.to_string()).collect()),
        text(events.iter().map(|event| event.kind.clone()).collect()),
        Arc::new(envelope().map(|envelope| Some(envelope.map_or(1, |e| schema_version(&e.dataschema)))).collect::<Int32Array>()),
        text(events.iter().map(|event| event.tenant.to_string()).collect()),
        maybe_text(object().map(|object| Some(object?.kind.clone())).collect()),
        maybe_text(object().map(|object| Some(object?.id.clone())).collect()),
        Arc::new(object().map(|object| Some(object?.version)).collect::<Int64Array>()),
        maybe_text(object().map(|object| Some(action(object?.action).to_owned())).collect()),
        text(events.iter().map(|event| event.key.to_string()).collect()),
        Arc::new(events.iter().map(|event| Some(event.sequence)).collect::<Int64Array>()),
        maybe_text(envelope().map(|envelope| Some(envelope?.transactionid.to_string())).collect()),
        Arc::new(occurred_at.with_timezone("UTC")),
        text(events.iter().map(|event| String::from_utf8_lossy(&event.body).into_owned()).collect()),
    ];
    RecordBatch::try_new(Arc::new(schema()), columns)
}

/// The version at the end of `…/schemas/<type>/v<version>.json`, or of `urn:billwire:<type>:v<version>` in events of version 0.2; 1 if there is
/// none.
fn schema_version(dataschema: &str) -> i32 {
    let file = dataschema.rsplit(['/', ':']).next().unwrap_or_default();
    let version = file.strip_suffix(".json").unwrap_or(file).strip_prefix('v');
    version.and_then(|version| version.parse().ok()).unwrap_or(1)
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Created => "created",
        Action::Updated => "updated",
        Action::Deleted => "deleted",
        Action::Unchanged => "unchanged",
    }
}

#[cfg(test)]
mod tests {
    use super::schema_version;

    #[test]
    fn the_version_of_a_schema_is_read_from_its_url_and_from_the_urn_of_old_events() {
        assert_eq!(schema_version("https://billing.example.com/schemas/custom.sim_swapped/v3.json"), 3);
        assert_eq!(schema_version("urn:billwire:custom.sim_swapped:v2"), 2);
        assert_eq!(schema_version("elsewhere"), 1);
    }
}
