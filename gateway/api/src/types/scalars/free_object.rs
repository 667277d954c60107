//! Any JSON object.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// Any JSON object; its schema is documented elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct FreeObject(pub serde_json::Map<String, Value>);

plumbing!(FreeObject, MetaSchema::new("object"));

impl ParseFromJSON for FreeObject {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let Some(Value::Object(members)) = value else { return Err(ParseError::custom("not an object")) };
        Ok(Self(members))
    }
}

impl ToJSON for FreeObject {
    fn to_json(&self) -> Option<Value> {
        Some(Value::Object(self.0.clone()))
    }
}
