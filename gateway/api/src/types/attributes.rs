//! Custom attributes in requests.

use std::collections::HashMap;

use billwire_app::domain::attributes::{self, Attributes, Changes};
use serde_json::Value;

use crate::{
    http::{problem::Violation, request_context::QueryAll, violations::escaped},
    types::{
        nullable::Nullable,
        scalars::{AttributeFilter, AttributeText},
    },
};

/// The attributes of a new object.
pub(crate) type NewAttributes = HashMap<String, AttributeText>;
/// A change of attributes.
pub(crate) type AttributeChanges = Nullable<HashMap<String, Nullable<AttributeText>>>;

/// An example.
pub(crate) fn example_attributes<T: From<&'static str>>() -> HashMap<String, T> {
    HashMap::from([("region".to_owned(), "EMEA".into())])
}

/// An example of a change.
pub(crate) fn example_changes() -> AttributeChanges {
    HashMap::from([("project".to_owned(), AttributeText::from("P-17").into())]).into()
}

/// Converts new attributes to the domain's type.
pub(crate) fn attributes(given: Option<NewAttributes>) -> Attributes {
    let texts = given.unwrap_or_default().into_iter().map(|(name, text)| (name, text.0));
    texts.collect::<std::collections::BTreeMap<_, _>>().into()
}

/// Converts a change to the domain's type.
pub(crate) fn changes(given: AttributeChanges) -> Changes {
    given.map(|named| named.into_iter().map(|(name, text)| (name, text.map(|text| text.0).value())).collect())
}

/// Checks the names of `attributes` in a body, which a schema of OpenAPI 3.0 cannot.
pub(crate) fn check_names(body: &Value, found: &mut Vec<Violation>) {
    let names = body["attributes"].as_object().into_iter().flatten().map(|(name, _)| name);
    found.extend(names.filter(|name| !attributes::is_name(name)).take(100).map(|name| {
        let pointer = format!("/attributes/{}", escaped(name));
        let rule = "must have 1 to 64 letters, digits, '_', '-' and '.', and begin with a letter";
        Violation::at(pointer, "pattern", format!("The name of an attribute {rule}."))
    }));
}

/// The names and texts that a list is filtered by.
pub(crate) fn wanted(filters: &QueryAll<AttributeFilter>) -> Vec<(&str, &str)> {
    filters.0.iter().filter_map(|filter| filter.0.split_once(':')).collect()
}
