//! The messages that are whole business transactions (`updateStreamSettings`): their JSON Schema, and their part of the AsyncAPI document.

use billwire_schemas::events::{
    envelope::schema_path,
    example,
    json_schema::{self, Message},
    parameters::Group,
    selection::BUSINESS_TRANSACTION,
};
use serde_json::{Map, Value, json};

use crate::openapi::states::definitions;

/// The schema of business transactions in the OpenAPI document.
const SCHEMA: &str = "BusinessTransaction";
/// What all such messages have in their types.
const TITLE: &str = "Business transaction";
const DESCRIPTION: &str =
    "The whole business transaction, behind its events. Only where the tenant has switched it on by `updateStreamSettings`.";

/// The JSON Schema (draft 2020-12) of every such message; `document` is [`crate::openapi()`].
pub fn business_transaction_schema(document: &Value) -> Value {
    const DEFINITIONS: &str = "#/$defs/";
    let mut needed = definitions(vec![SCHEMA.to_owned()], document, DEFINITIONS);
    let mut state = state(needed.remove(SCHEMA).unwrap_or_default());
    if let Some(members) = state.as_object_mut() {
        members.insert("$defs".to_owned(), Value::Object(needed));
    }
    payload(&state)
}

/// The schema of a transaction as a message has it, from that of one that an operation returns.
fn state(mut whole: Value) -> Value {
    if let Some(required) = whole["required"].as_array_mut() {
        required.retain(|member| member != "entities" && member != "events");
    }
    let href = "Where the transaction is, if it is too large for a message: this one has neither `entities` nor `events` then.";
    whole["properties"]["href"] = json!({ "type": "string", "format": "uri", "description": href });
    whole
}

fn payload(state: &Value) -> Value {
    let parameters = Group::Core.parameters().iter();
    let parameters = parameters.map(|of| (of.name.to_owned(), json!({ "description": of.meaning, "type": of.kind.name() })));
    let mut schema = json_schema::message(&Message {
        kind: BUSINESS_TRANSACTION,
        path: schema_path(BUSINESS_TRANSACTION, 1),
        title: TITLE,
        description: DESCRIPTION.to_owned(),
        action: json!({ "const": "created" }),
        parameters: parameters.collect(),
        before: json!({ "type": "object" }),
        after: state,
    });
    schema["properties"]["type"] = json!({ "type": "string", "pattern": format!("^{BUSINESS_TRANSACTION}\\.[A-Za-z]{{1,64}}$") });
    schema
}

/// The AsyncAPI channel's address.
pub(crate) const ADDRESS: &str = "billing.{tenant}.business_transaction.{operation}.{slot}.{orderingKey}";

/// The payload in the AsyncAPI document, whose components have the prefix `components`, and the names of those that it refers to.
pub(crate) fn of_asyncapi(document: &Value, components: &str) -> (Value, Vec<String>) {
    let mut needed = definitions(vec![SCHEMA.to_owned()], document, components);
    let schema = payload(&state(needed.remove(SCHEMA).unwrap_or_default()));
    (schema, needed.into_iter().map(|(name, _)| name).collect())
}

/// An example message.
pub(crate) fn example(document: &Value, public_url: &str) -> Value {
    let transaction = &document["components"]["schemas"][SCHEMA]["example"];
    let kind = format!("{BUSINESS_TRANSACTION}.{}", transaction["operation"].as_str().unwrap_or_default());
    let object = json!({ "type": "businessTransaction", "id": transaction["id"], "version": 1, "action": "created" });
    let parameters: Map<String, Value> = Group::Core.parameters().iter().map(|of| (of.name.to_owned(), of.value())).collect();
    let key = transaction["entities"][0]["id"].as_str().unwrap_or_default();
    let schema = format!("{public_url}{}", schema_path(BUSINESS_TRANSACTION, 1));
    let mut message = example::message(&kind, &schema, key, &object, transaction, &parameters);
    if let Some(members) = message.as_object_mut() {
        members.remove("transactionindex");
    }
    message["operation"] = transaction["operation"].clone();
    message["data"]["parameters"]["event.name"] = TITLE.into();
    message["data"]["parameters"]["event.type"] = kind.into();
    message
}
