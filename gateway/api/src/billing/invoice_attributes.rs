//! Changes of invoices' attributes.

use poem_openapi::{Object, types::Example};
use serde_json::Value;

use crate::{
    http::{problem::Violation, validated_body::Validate},
    types::attributes::{AttributeChanges, check_names, example_changes},
};

/// Changes to an invoice.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct InvoiceUpdate {
    /// Custom attributes, as a merge patch: a text sets one, null removes it; those that are not named stay. Null in place of the object removes all.
    pub attributes: AttributeChanges,
}

impl Validate for InvoiceUpdate {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        check_names(body, found);
    }
}

impl Example for InvoiceUpdate {
    fn example() -> Self {
        Self { attributes: example_changes() }
    }
}
