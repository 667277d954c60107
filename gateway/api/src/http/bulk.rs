//! What bulk operations answer: for each item its business transaction, or why it was refused.

use billwire_app::Reply;
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaResponses, Registry},
    types::{Example, Type},
};

use crate::{
    http::responses::{REPLAYED, answered, documented, replayed},
    types::example::example_id,
    types::{
        business_transaction::{BusinessTransaction, EntityChange, EventReference},
        scalars::FreeObject,
    },
};

/// A rule that an item breaks.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ItemError {
    /// Where in the body, as a JSON pointer (RFC 6901).
    pointer: String,
    /// Stable code of the rule. More may come.
    code: String,
    /// What is wrong and what would be right.
    message: String,
}

/// Why an item was refused.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ItemProblem {
    /// Stable code of the refusal as a whole.
    code: String,
    /// For people.
    detail: String,
    /// Every violation found.
    errors: Option<Vec<ItemError>>,
}

/// What became of an item.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ItemResult {
    /// Its place in the request, from 0.
    index: u32,
    /// `recorded`: it is a business transaction now. `refused`: it left nothing. More may come.
    status: String,
    /// The business transaction it is.
    transaction: Option<BusinessTransaction>,
    /// Why it was refused.
    problem: Option<ItemProblem>,
}

/// What became of each item, in the order of the request.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct BulkResult {
    /// One result per item.
    items: Vec<ItemResult>,
}

impl Example for BulkResult {
    fn example() -> Self {
        let event = EventReference { id: example_id(0x101), kind: "custom.sim_swapped".to_owned() };
        let data = serde_json::Map::from_iter([("iccid".to_owned(), "8949010000000000001".into())]);
        let entity = EntityChange {
            kind: "customEvent".to_owned(),
            id: "4711".to_owned(),
            version: 1,
            action: "created".to_owned(),
            before: None,
            after: Some(FreeObject(data)),
        };
        let transaction = BusinessTransaction::of("submitEvents", entity, event);
        Self { items: vec![ItemResult { index: 0, status: "recorded".to_owned(), transaction: Some(transaction), problem: None }] }
    }
}

/// The answer of a bulk operation whose status, whatever became of the items, is this.
pub(crate) struct Each<const STATUS: u16>(pub Reply);

impl<const STATUS: u16> IntoResponse for Each<STATUS> {
    fn into_response(self) -> Response {
        replayed(self.0)
    }
}

impl<const STATUS: u16> ApiResponse for Each<STATUS> {
    fn meta() -> MetaResponses {
        let headers = vec![documented(REPLAYED.0, REPLAYED.1)];
        let description = "Each item was judged by itself: recorded, or refused with every violation named.";
        MetaResponses { responses: vec![answered(STATUS, description, Some(BulkResult::schema_ref()), headers)] }
    }

    fn register(registry: &mut Registry) {
        BulkResult::register(registry);
    }
}
