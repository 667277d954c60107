//! JSON Schemas from poem-openapi's registry, corrected. The published document and the validators use the same functions, so the
//! published schema is the enforced one.

use std::{
    any::TypeId,
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use billwire_schemas::recipient::is_address;
use jsonschema::{Draft, PatternOptions, Validator};
use poem_openapi::{registry::Registry, types::Type};
use serde_json::{Map, Value, json};

use crate::{
    http::problem::Problem,
    types::scalars::{date, moment},
};

/// Maximum number of members of a map: of a change of attributes, which unsets up to 50 and sets up to 50.
const MAP_MAX: usize = 100;

/// Prefix of references to component schemas.
pub(crate) const COMPONENTS: &str = "#/components/schemas/";

/// The name of a type or an operation: `AccountBillCycleChanged` of `account.bill_cycle_changed`.
pub(crate) fn pascal(name: &str) -> String {
    let words = name.split(['.', '_']).map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
    });
    words.collect()
}

/// The component schemas that `T` uses, corrected.
pub(crate) fn components_of<T: Type>() -> Map<String, Value> {
    let mut registry = Registry::new();
    T::register(&mut registry);
    let mut schemas = match serde_json::to_value(&registry.schemas) {
        Ok(Value::Object(schemas)) => schemas,
        _ => Map::new(),
    };
    schemas.values_mut().for_each(tidy);
    schemas
}

/// Corrects a schema and its subschemas: integral limits as integers, standard formats, references with their description, no keywords
/// of other OpenAPI versions.
pub(crate) fn tidy(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    members.remove("title");
    for limit in ["minimum", "maximum", "multipleOf"] {
        if let Some(whole) = members.get(limit).and_then(Value::as_f64).filter(|limit| limit.fract() == 0.0) {
            members.insert(limit.to_owned(), json!(whole as i64));
        }
    }
    let format = match members.get("format").and_then(Value::as_str) {
        Some("naive-date") => Some("date"),
        Some("uint16" | "uint32") => Some("int32"),
        Some("uint64") => Some("int64"),
        _ => None,
    };
    if let Some(format) = format {
        members.insert("format".to_owned(), format.into());
    }
    described_reference(members);
    members.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(|named| named.values_mut()).for_each(tidy);
    for list in ["allOf", "anyOf", "oneOf"] {
        members.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten().for_each(tidy);
    }
    for one in ["items", "additionalProperties"] {
        if let Some(below) = members.get_mut(one) {
            tidy(below);
        }
    }
}

/// poem-openapi writes a described reference as `allOf` with the reference and an object with the description, and repeats the
/// description beside it. Generators turn that into an intersection type, but `allOf` with the reference alone into the type itself.
fn described_reference(members: &mut Map<String, Value>) {
    if let Some(parts) = members.get_mut("allOf").and_then(Value::as_array_mut)
        && parts.first().is_some_and(|first| first.get("$ref").is_some())
    {
        parts.truncate(1);
    }
}

/// Names of the component schemas that `schema` refers to directly.
pub(crate) fn references(schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix(COMPONENTS)) {
                found.push(name.to_owned());
            }
            members.values().for_each(|below| references(below, found));
        }
        Value::Array(items) => items.iter().for_each(|below| references(below, found)),
        _ => {}
    }
}

/// Closes the objects reachable from `roots` to unknown members, so that a misspelt member is an error.
pub(crate) fn close(schemas: &mut Map<String, Value>, roots: Vec<String>) {
    let mut todo = roots;
    let mut done: Vec<String> = Vec::new();
    while let Some(name) = todo.pop() {
        let Some(schema) = schemas.get_mut(&name).filter(|_| !done.contains(&name)) else { continue };
        if schema.get("type").and_then(Value::as_str) == Some("object") && schema.get("additionalProperties").is_none() {
            schema["additionalProperties"] = false.into();
            // Without the keyword, the validator does not name the unknown member.
            if schema.get("properties").is_none() {
                schema["properties"] = json!({});
            }
        }
        bound(schema);
        references(schema, &mut todo);
        done.push(name);
    }
}

/// Bounds what callers send, in a schema and below, where its type does not: maps with names of their own, of which the domain has the exact
/// bound and a refusal that tells it, and texts with a format.
pub(crate) fn bound(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("additionalProperties").is_some_and(Value::is_object) {
                members.insert("maxProperties".to_owned(), MAP_MAX.into());
            }
            let longest = match members.get("format").and_then(Value::as_str) {
                Some("uuid") => Some(36),
                Some("date-time") => Some(64),
                _ => None,
            };
            if let Some(longest) = longest {
                members.insert("maxLength".to_owned(), longest.into());
            }
            members.values_mut().for_each(bound);
        }
        Value::Array(items) => items.iter_mut().for_each(bound),
        _ => {}
    }
}

/// The request schema of `T`: closed, with all referenced components.
fn request_schema<T: Type>() -> Value {
    let mut schemas = components_of::<T>();
    let mut root = serde_json::to_value(T::schema_ref()).unwrap_or_default();
    tidy(&mut root);
    let mut roots = Vec::new();
    references(&root, &mut roots);
    close(&mut schemas, roots);
    root["components"] = json!({ "schemas": schemas });
    root
}

/// Compiles a schema with this API's formats and regular expression engine.
///
/// # Errors
/// When `schema` is invalid, which is a bug in this crate.
pub(crate) fn compile(schema: &Value) -> Result<Validator, Problem> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .with_format("date-time", |text: &str| moment(text).is_some())
        .with_format("date", |text: &str| date(text).is_some())
        .with_format("idn-email", is_address)
        // The linear-time engine: no pattern here needs more, and no input can make it slow.
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(Problem::internal)
}

/// The schema of a request body.
pub(crate) struct BodySchema {
    /// Validates a body without the nulls of `nullable`.
    pub validator: Validator,
    /// The members that null unsets.
    nullable: Vec<String>,
    /// The members whose own members null unsets.
    of_nullable: Vec<String>,
}

impl BodySchema {
    fn of<T: Type>() -> Result<Self, Problem> {
        let schema = request_schema::<T>();
        let name = schema["$ref"].as_str().and_then(|name| name.strip_prefix(COMPONENTS)).unwrap_or_default();
        let members = || schema["components"]["schemas"][name]["properties"].as_object().into_iter().flatten();
        let named = |of: fn(&Value) -> &Value| members().filter(|(_, member)| of(member) == true).map(|(name, _)| name.clone()).collect();
        let nullable = named(|member| &member["nullable"]);
        let of_nullable = named(|member| &member["additionalProperties"]["nullable"]);
        Ok(Self { validator: compile(&schema)?, nullable, of_nullable })
    }

    /// The body to validate: without the members that it unsets.
    pub fn without_nulls<'v>(&self, body: &'v Value) -> Cow<'v, Value> {
        let unset = |name: &String| body.get(name).is_some_and(Value::is_null);
        let has_unset =
            |name: &String| body.get(name).and_then(Value::as_object).is_some_and(|members| members.values().any(Value::is_null));
        if !self.nullable.iter().any(unset) && !self.of_nullable.iter().any(has_unset) {
            return Cow::Borrowed(body);
        }
        let mut set = body.clone();
        if let Some(members) = set.as_object_mut() {
            members.retain(|name, value| !value.is_null() || !self.nullable.contains(name));
            for name in &self.of_nullable {
                if let Some(inner) = members.get_mut(name).and_then(Value::as_object_mut) {
                    inner.retain(|_, value| !value.is_null());
                }
            }
        }
        Cow::Owned(set)
    }
}

static COMPILED: LazyLock<RwLock<HashMap<TypeId, Arc<BodySchema>>>> = LazyLock::new(RwLock::default);

/// The schema of request bodies of type `T`, compiled once.
///
/// # Errors
/// See [`compile`].
pub(crate) fn body_schema_of<T: Type + 'static>() -> Result<Arc<BodySchema>, Problem> {
    let key = TypeId::of::<T>();
    if let Some(known) = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(known.clone());
    }
    let made = Arc::new(BodySchema::of::<T>()?);
    COMPILED.write().unwrap_or_else(PoisonError::into_inner).insert(key, made.clone());
    Ok(made)
}
