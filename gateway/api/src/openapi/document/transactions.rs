//! Typed business transactions: the response of an operation has the states of the objects that it changes, not just any objects.

use serde_json::{Map, Value, json};

use crate::openapi::{
    operation::{Makes, Operation},
    schema::{COMPONENTS, pascal},
    states::schema_of,
};

/// The business transaction of lists, with objects of any type.
const ANY: &str = "BusinessTransaction";

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{COMPONENTS}{name}") })
}

/// Gives the success responses of an operation the type of its transaction.
pub(super) fn of_answers(operation: &mut Value, asks: &Operation, schemas: &mut Map<String, Value>) {
    let Some(makes) = asks.makes else { return };
    for (_, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        if let Some(schema) = response.pointer_mut("/content/application~1json/schema").filter(|schema| **schema == reference(ANY)) {
            *schema = reference(&transaction(asks.id, &makes, schemas));
        }
    }
}

/// The component with an operation's transaction.
fn transaction(id: &str, makes: &Makes, schemas: &mut Map<String, Value>) -> String {
    let changes: Vec<(&str, String)> = makes.kinds().filter_map(|kind| Some((kind, change(kind, schema_of(kind)?, schemas)))).collect();
    let (name, entity) = match &changes[..] {
        [(_, only)] => (format!("{}Transaction", makes.schema), reference(only)),
        several => {
            let operation = pascal(id);
            let entity = format!("{operation}Entity");
            let mapping: Map<String, Value> =
                several.iter().map(|(kind, change)| ((*kind).to_owned(), format!("{COMPONENTS}{change}").into())).collect();
            let one_of: Vec<Value> = several.iter().map(|(_, change)| reference(change)).collect();
            let described = format!("An object that `{id}` changes; its type is in `type`.");
            let discriminator = json!({ "propertyName": "type", "mapping": mapping });
            schemas.insert(entity.clone(), json!({ "description": described, "oneOf": one_of, "discriminator": discriminator }));
            (format!("{operation}Transaction"), reference(&entity))
        }
    };
    if let Some(mut schema) = schemas.get(ANY).cloned() {
        schema["properties"]["entities"]["items"] = entity;
        if let Some(members) = schema.as_object_mut() {
            members.remove("example");
        }
        schemas.insert(name.clone(), schema);
    }
    name
}

/// The component with the change of an object of one type.
fn change(kind: &str, state: &str, schemas: &mut Map<String, Value>) -> String {
    let name = format!("Changed{state}");
    if let Some(mut schema) = schemas.get("EntityChange").filter(|_| !schemas.contains_key(&name)).cloned() {
        schema["description"] = format!("A changed object of type `{kind}`.").into();
        let members = &mut schema["properties"];
        members["type"] = json!({ "description": format!("Always `{kind}`."), "type": "string", "enum": [kind] });
        for member in ["before", "after"] {
            members[member] = json!({ "description": members[member]["description"], "allOf": [reference(state)] });
        }
        schemas.insert(name.clone(), schema);
    }
    name
}
