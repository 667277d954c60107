//! Examples: moves the types' examples to requests and responses, where readers and tools expect them.

use serde_json::{Map, Value, json};

use crate::{
    openapi::{
        document::operations,
        operation::{Makes, Operation},
        schema::COMPONENTS,
    },
    types::example::example_id,
};

/// The members that an object can be addressed by, in the order of preference.
pub(super) const NAMES: [&str; 4] = ["externalId", "tenantId", "address", "name"];

/// The operations, besides those that delete, whose example is about the object that the example of its creation makes: they end it, or change
/// what the sample tenant's other objects need.
const ABOUT_THE_NEW: [&str; 6] = ["cancelPayment", "getTenantDeletion", "resumeTenant", "revokeApiKey", "suspendTenant", "updateBillCycle"];

/// The operations whose example is about the account that ends, which no other example needs.
const ABOUT_THE_ENDING: [&str; 2] = ["cancelAccount", "createInvoiceOnDemand"];

/// The JSON content of a request or response.
const JSON: &str = "/content/application~1json";

fn referred<'s>(content: &Value, schemas: &'s mut Map<String, Value>) -> Option<&'s mut Value> {
    let name = content["schema"]["$ref"].as_str()?.strip_prefix(COMPONENTS)?;
    schemas.get_mut(name)
}

/// Moves the example of a request's type to the request.
pub(super) fn of_request(operation: &mut Value, schemas: &mut Map<String, Value>) {
    let Some(content) = operation.get_mut("requestBody").and_then(|body| body.pointer_mut(JSON)) else { return };
    let example = referred(content, schemas).and_then(|schema| schema.as_object_mut()?.remove("example"));
    content["example"] = example.unwrap_or_else(|| json!({}));
}

/// Adds an example to each success response.
pub(super) fn of_answers(operation: &mut Value, asks: &Operation, schemas: &mut Map<String, Value>) {
    for (_, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        // Those with a body have one media type.
        let media = response.get_mut("content").and_then(Value::as_object_mut);
        let Some((_, content)) = media.and_then(|media| media.iter_mut().next()) else { continue };
        let name = content["schema"]["$ref"].as_str().and_then(|name| name.strip_prefix(COMPONENTS)).unwrap_or_default().to_owned();
        let example = match (&asks.makes, name.strip_suffix("List")) {
            (Some(makes), _) if name == "BusinessTransaction" => Some(transaction(asks.id, *makes, schemas)),
            (_, Some(item)) => schemas.get(item).and_then(|schema| schema.get("example")).map(|item| json!({ "items": [item] })),
            _ => schemas.get(&name).and_then(|schema| schema.get("example").cloned()),
        };
        if let Some(example) = example {
            content["example"] = example;
        }
    }
}

/// Lets the examples of a creation, and of the operations about what it makes, name the same object: all others name objects that the
/// sample tenant has, which are not made again and not deleted.
pub(super) fn of_the_new(document: &mut Value) {
    let paths = document["paths"].as_object_mut();
    let new: Map<String, Value> = paths
        .iter()
        .flat_map(|paths| paths.iter())
        .filter_map(|(path, methods)| Some((path.clone(), methods.pointer(&format!("/post/requestBody{JSON}/example"))?.clone())))
        .collect();
    let ending = json!({ "externalId": "CRM-4698" });
    for (path, _, operation) in operations(document) {
        let id = operation["operationId"].as_str().unwrap_or_default();
        let about_the_new = id.starts_with("delete") || ABOUT_THE_NEW.contains(&id);
        let collection = path.split_once("/{").map_or(path.as_str(), |(collection, _)| collection);
        if ABOUT_THE_ENDING.contains(&id) {
            rename(operation, &ending);
            continue;
        }
        let Some(made) = new.get(collection).filter(|_| about_the_new || path == collection) else { continue };
        rename(operation, made);
    }
}

/// Lets the examples of an operation name the object that a creation makes of `made`.
fn rename(operation: &mut Value, made: &Value) {
    let name = NAMES.iter().find_map(|member| made.get(member)?.as_str()).unwrap_or_default();
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        match parameter["in"].as_str() {
            Some("path") if parameter["name"] == "eventType" => parameter["example"] = format!("custom.{name}").into(),
            Some("path") => parameter["example"] = name.into(),
            _ => {}
        }
    }
    for (_, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        let Some(entity) = response.pointer_mut(&format!("{JSON}/example/entities/0")) else { continue };
        for state in ["before", "after"] {
            let Some(state) = entity.get_mut(state).and_then(Value::as_object_mut) else { continue };
            for member in NAMES {
                if let (Some(value), Some(shown)) = (made.get(member), state.get_mut(member)) {
                    shown.clone_from(value);
                }
            }
        }
    }
}

/// Applies an operation's change to the example of its object.
fn alter(operation: &str, before: &mut Value, after: &mut Value) {
    let planned = || json!({ "billCycleId": example_id(3), "validFrom": "2035-06-01T00:00:00Z" });
    let planned_status = || json!({ "status": "suspended", "services": false, "validFrom": "2035-06-01T00:00:00Z" });
    let planned_active = || json!({ "status": "active", "validFrom": "2035-06-01T00:00:00Z" });
    match operation {
        "changeAccountStatus" => {
            after["status"] = "suspended".into();
            after["statusReason"] = "customer_request".into();
        }
        "cancelAccount" => {
            after["status"] = "deactivated".into();
            after["deactivatedAt"] = "2027-01-04T09:30:00Z".into();
            after["statusReason"] = "customer_request".into();
        }
        "updateAccount" => {
            after["billingContactId"] = json!(example_id(10));
            after["paymentTermDays"] = 30.into();
        }
        "updateBillCycle" => after["name"] = "Mid-month".into(),
        "updateContact" => after["email"] = "bills@example.com".into(),
        "updatePackage" => after["recurringFee"]["amount"] = "11.90".into(),
        "changePackageSubscriptionStatus" => {
            after["status"] = "active".into();
            after["statusReason"] = "ordered".into();
        }
        "cancelPackageSubscription" => {
            before["status"] = "active".into();
            after["status"] = "cancelled".into();
            after["statusReason"] = "customer_request".into();
            after["endDate"] = "2027-01-04".into();
        }
        "updateService" => after["name"] = "Truck 42, new driver".into(),
        "transitionService" => {
            after["status"] = "active".into();
            after["statusReason"] = "installed".into();
        }
        "updateAccountBillCycle" => after["plannedBillCycleChange"] = planned(),
        "cancelAccountBillCycleChange" => before["plannedBillCycleChange"] = planned(),
        "performAccountBillCycleChange" => {
            before["plannedBillCycleChange"] = planned();
            after["billCycle"]["billCycleId"] = json!(example_id(3));
        }
        "cancelAccountStatusChange" => before["plannedStatusChange"] = planned_status(),
        "performAccountStatusChange" => {
            before["plannedStatusChange"] = planned_status();
            after["status"] = "suspended".into();
        }
        "cancelPackageSubscriptionStatusChange" | "cancelServiceStatusChange" => before["plannedStatusChange"] = planned_active(),
        "performPackageSubscriptionStatusChange" | "performServiceStatusChange" => {
            before["plannedStatusChange"] = planned_active();
            after["status"] = "active".into();
        }
        "deliverInvoice" => after["deliveredAt"] = "2027-01-04T09:30:00Z".into(),
        "cancelInvoice" => after["status"] = "cancelled".into(),
        _ => {}
    }
}

/// The example of an operation's business transaction.
fn transaction(operation: &str, makes: Makes, schemas: &Map<String, Value>) -> Value {
    let mut state = schemas.get(makes.schema).and_then(|schema| schema.get("example").cloned()).unwrap_or_default();
    let (id, account) = (state["id"].clone(), state.get("accountId").cloned());
    let version = if makes.action == "updated" { 2 } else { 1 };
    let mut entity = json!({ "type": makes.entity, "id": id, "version": version, "action": makes.action });
    match makes.action {
        "created" => {
            // Only this response shows the secret.
            if makes.entity == "webhookEndpoint" {
                state["secret"] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into();
            }
            entity["after"] = state;
        }
        "deleted" => entity["before"] = state,
        _ => {
            let mut before = state.clone();
            state["version"] = version.into();
            alter(operation, &mut before, &mut state);
            entity["before"] = before;
            entity["after"] = state;
        }
    }
    let account = if makes.entity == "account" { Some(id) } else { account };
    let events: Vec<Value> = (1..)
        .zip(makes.events)
        .map(|(number, kind)| json!({ "id": format!("0198c0de-0000-7000-8000-0000000001{number:02}"), "type": kind }))
        .collect();
    let mut transaction = json!({
        "id": "0198c0de-0000-7000-8000-000000000100",
        "operation": operation,
        "occurredAt": "2027-01-04T09:30:00Z",
        "actor": "crm",
        "entities": [entity],
        "events": events,
    });
    if let Some(account) = account {
        transaction["account"] = account;
    }
    transaction
}
