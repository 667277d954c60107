//! Responses of bulk operations: per item, the business transaction or the refusal.

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

/// A violation in an item.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ItemError {
    /// Location as a JSON pointer (RFC 6901).
    pointer: String,
    /// Stable code of the broken rule. More values may be added.
    code: String,
    /// What is wrong, and what would be valid.
    message: String,
}

/// The refusal of an item.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ItemProblem {
    /// Stable code of the refusal.
    code: String,
    /// Explanation as text.
    detail: String,
    /// Every violation found.
    errors: Option<Vec<ItemError>>,
}

/// The result of an item.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ItemResult {
    /// Index of the item in the request, starting at 0.
    index: u32,
    /// `recorded`: a business transaction was committed. `refused`: nothing was changed. More values may be added.
    status: String,
    /// The item's business transaction, if recorded.
    transaction: Option<BusinessTransaction>,
    /// The refusal, if refused.
    problem: Option<ItemProblem>,
}

/// The result of each item, in request order.
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

/// The response of a bulk operation of which at least one item was accepted.
pub(crate) struct Each<const STATUS: u16>(pub Reply);

impl<const STATUS: u16> IntoResponse for Each<STATUS> {
    fn into_response(self) -> Response {
        replayed(self.0)
    }
}

impl<const STATUS: u16> ApiResponse for Each<STATUS> {
    fn meta() -> MetaResponses {
        let headers = vec![documented(REPLAYED.0, REPLAYED.1)];
        let description =
            "The result of each item: recorded, or refused with every violation. If each item is refused, the call is refused: 422.";
        MetaResponses { responses: vec![answered(STATUS, description, Some(BulkResult::schema_ref()), headers)] }
    }

    fn register(registry: &mut Registry) {
        BulkResult::register(registry);
    }
}
