//! An optional member of an update: absent to keep it, null to unset it (RFC 7396), or a value.

use std::borrow::Cow;

use billwire_app::domain::patch::Patch;
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type},
};
use serde_json::Value;

/// A member that null unsets. In the schema it has the keyword `nullable`, which the validator does not know: `validated_body` validates a
/// body without these nulls.
#[derive(Debug)]
pub(crate) struct Nullable<T>(pub Patch<T>);

impl<T> Nullable<T> {
    /// The change, with the value converted to the domain's type.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Patch<U> {
        self.0.map(convert)
    }
}

impl<T> Default for Nullable<T> {
    fn default() -> Self {
        Self(Patch::Keep)
    }
}

impl<T> From<T> for Nullable<T> {
    fn from(value: T) -> Self {
        Self(Patch::Set(value))
    }
}

impl<T: Type> Type for Nullable<T> {
    const IS_REQUIRED: bool = false;
    type RawValueType = T::RawValueType;
    type RawElementValueType = T::RawElementValueType;

    fn name() -> Cow<'static, str> {
        format!("nullable_{}", T::name()).into()
    }
    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(match T::schema_ref() {
            MetaSchemaRef::Inline(mut schema) => {
                schema.nullable = true;
                if !schema.enum_items.is_empty() {
                    schema.enum_items.push(Value::Null);
                }
                *schema
            }
            // Only objects are referred to. `nullable` counts beside a `type` alone (OpenAPI 3.0.3).
            reference => MetaSchema { ty: "object", nullable: true, all_of: vec![reference], ..MetaSchema::ANY },
        }))
    }
    fn register(registry: &mut Registry) {
        T::register(registry);
    }
    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        self.0.as_ref().value()?.as_raw_value()
    }
    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        match self.0.as_ref().value() {
            Some(value) => value.raw_element_iter(),
            None => Box::new(std::iter::empty()),
        }
    }
    fn is_none(&self) -> bool {
        matches!(self.0, Patch::Keep)
    }
}

impl<T: ParseFromJSON> ParseFromJSON for Nullable<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Ok(Self(match value {
            None => Patch::Keep,
            Some(Value::Null) => Patch::Unset,
            value => Patch::Set(T::parse_from_json(value).map_err(ParseError::propagate)?),
        }))
    }
}

impl<T: ToJSON> ToJSON for Nullable<T> {
    fn to_json(&self) -> Option<Value> {
        match &self.0 {
            Patch::Keep => None,
            Patch::Unset => Some(Value::Null),
            Patch::Set(value) => value.to_json(),
        }
    }
}
