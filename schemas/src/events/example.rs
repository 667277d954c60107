//! Complete example messages, generated from the catalogue. Each is valid against the JSON Schema of its event type.

use serde_json::{Map, Value, json};

use super::{
    catalogue::{EventType, Family, Key},
    envelope::schema_path,
};

/// The id of an object whose example state has none.
const ID: &str = "0198c0de-0000-7000-8000-000000000009";

/// Lifecycle events published when an object is created.
const OF_NEW_OBJECTS: &[&str] =
    &["bill_run.started", "credit.processed", "invoice.posted", "payment.failed", "payment.processed", "refund.processed"];

/// An example message of `event` about an object with this `state`, from the gateway at `public_url`.
pub fn of(event: &EventType, state: &Value, public_url: &str) -> Value {
    let action = match (event.family, event.name.split_once('.')) {
        (Family::Object, Some((_, what))) => what,
        _ if OF_NEW_OBJECTS.contains(&event.name) => "created",
        _ => "updated",
    };
    let parameters: Map<String, Value> = event
        .offers()
        .filter(|(_, email_only)| !email_only)
        .map(|(parameter, _)| {
            let value = match parameter.name {
                "event.name" => event.title.into(),
                "event.type" => event.name.into(),
                _ => parameter.value(),
            };
            (parameter.name.to_owned(), value)
        })
        .collect();
    let id = state.get("id").and_then(Value::as_str).unwrap_or(ID);
    let account = state.get("accountId").or_else(|| parameters.get("account.id")).and_then(Value::as_str);
    let key = if event.key == Key::Account { account.unwrap_or(id) } else { id };
    let schema = format!("{public_url}{}", schema_path(event.name, 1));
    message(event.name, &schema, key, &object(event.source, id, action), state, &parameters)
}

/// The object member: version 1 for a created object, otherwise 2.
fn object(kind: &str, id: &str, action: &str) -> Value {
    let version = if action == "created" { 1 } else { 2 };
    json!({ "type": kind, "id": id, "version": version, "action": action })
}

/// An example message with these parts; `schema` is its `dataschema`, and `state` becomes `before` or `after`, depending on the object's action.
pub fn message(kind: &str, schema: &str, key: &str, object: &Value, state: &Value, parameters: &Map<String, Value>) -> Value {
    let mut data = json!({ "object": object, "parameters": parameters });
    let at = |version: Value| {
        let mut state = state.clone();
        if let Some(members) = state.as_object_mut().filter(|members| members.contains_key("version")) {
            members.insert("version".to_owned(), version);
        }
        state
    };
    match object["action"].as_str() {
        Some("created") => data["after"] = state.clone(),
        Some("deleted") => data["before"] = at(object["version"].clone()),
        _ => {
            data["before"] = at(1.into());
            data["after"] = at(object["version"].clone());
        }
    }
    json!({
        "specversion": "1.0",
        "id": "0198c0de-0000-7000-8000-000000000101",
        "source": "/tenants/default",
        "type": kind,
        "subject": object["id"],
        "time": "2027-01-15T09:30:00Z",
        "datacontenttype": "application/json",
        "dataschema": schema,
        "partitionkey": key,
        "sequence": format!("{:020}", 42),
        "transactionid": "0198c0de-0000-7000-8000-000000000100",
        "transactionindex": 1,
        "transactionsize": 1,
        "operation": "exampleOperation",
        "actor": "admin",
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{catalogue, envelope::Envelope};

    #[test]
    fn an_example_is_a_message_as_consumers_read_it() {
        for event in catalogue::all() {
            let example = of(event, &json!({ "id": ID, "version": 1 }), "https://billing.example.com");
            let read: Envelope = serde_json::from_value(example).expect(event.name);
            assert_eq!(read.kind, event.name);
            assert_eq!(read.data.parameters["event.type"], event.name);
            assert!(!read.data.parameters.keys().any(|name| name.starts_with("contact.")), "{}", event.name);
        }
    }
}
