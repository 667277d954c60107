//! Dead letters: deliveries that were given up on, for a person to take up again or to let be.

use billwire_app::{DeadLetters as Which, delivery_lists::Filter};
use billwire_schemas::ids::{DeliveryId, QueueId, SubscriptionId};
use poem_openapi::{Object, OpenApi, types::Example};
use uuid::Uuid;

use crate::{
    delivery::deliveries::Tag,
    delivery::deliveries::{Delivery, MendedDeliveries},
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Accepted, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, in_bulk, list},
    types::example::example_id,
    types::scalars::{Cursor, EventTypeName, Limit, Moment, Reference},
};

pub(crate) struct DeadLetters;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    list("listDeadLetters", "deliveries:read"),
    in_bulk("redriveDeadLetters", "deliveries:write", &[]),
    in_bulk("discardDeadLetters", "deliveries:write", &[]),
];

/// Which dead letters are meant: those named, or all that fit every member that is given. With no member at all: every one. One call
/// deals with up to 10 000, oldest first; call again while it says so many.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct DeadLetterChoice {
    /// Ids of deliveries.
    #[oai(validator(min_items = 1, max_items = 1000))]
    ids: Option<Vec<Reference>>,
    /// Only of this subscription.
    subscription_id: Option<Reference>,
    /// Only of this queue.
    queue_id: Option<Reference>,
    /// Only of events of this type.
    event_type: Option<EventTypeName>,
    /// Only those first recorded from this moment on.
    from: Option<Moment>,
    /// Only those first recorded before this moment.
    to: Option<Moment>,
}

impl Validate for DeadLetterChoice {}

impl Example for DeadLetterChoice {
    fn example() -> Self {
        let subscription_id = Some(Reference(example_id(8).to_string()));
        Self { ids: None, subscription_id, queue_id: None, event_type: None, from: None, to: None }
    }
}

impl DeadLetterChoice {
    fn which(self) -> Which {
        // What is no id is the id of nothing.
        let id = |reference: Reference| reference.0.parse().unwrap_or(Uuid::nil());
        Which {
            ids: self.ids.unwrap_or_default().into_iter().map(|one| DeliveryId(id(one))).collect(),
            subscription: self.subscription_id.map(|one| SubscriptionId(id(one))),
            queue: self.queue_id.map(|one| QueueId(id(one))),
            event_type: self.event_type.map(|kind| kind.0),
            from: self.from.map(|from| from.0),
            to: self.to.map(|to| to.0),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Deliveries")]
impl DeadLetters {
    /// List dead letters
    ///
    /// Deliveries that were given up on, and those among them that block their ordering key. Newest first.
    #[oai(path = "/dead-letters", method = "get", operation_id = "listDeadLetters")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        context: Context,
        /// Only of this subscription.
        #[oai(name = "subscriptionId")]
        subscription: Query<Uuid>,
        /// Only of this queue.
        #[oai(name = "queueId")]
        queue: Query<Uuid>,
        /// Only of events of this type.
        #[oai(name = "eventType")]
        kind: Query<EventTypeName>,
        /// Only those first recorded from this moment on.
        from: Query<Moment>,
        /// Only those first recorded before this moment.
        to: Query<Moment>,
        /// Maximum number of items to return.
        limit: Query<Limit>,
        /// `nextCursor` of the previous page. Absent: the first page.
        cursor: Query<Cursor>,
    ) -> Result<Listed<Delivery>, Problem> {
        let page_request = context.page_request(limit.0, cursor.0.as_ref())?;
        let filter = Filter {
            states: vec!["dead".to_owned(), "blocking".to_owned()],
            subscription: subscription.0.map(SubscriptionId),
            queue: queue.0.map(QueueId),
            event_type: kind.0.map(|kind| kind.0),
            from: from.0.map(|from| from.0),
            to: to.0.map(|to| to.0),
            ..Filter::default()
        };
        let page = context.app().list_deliveries(context.tenant(), filter, page_request).await?;
        let items: Vec<Delivery> = page.items.into_iter().map(|delivery| Delivery::of(delivery, None)).collect();
        Ok(Listed::shown(&items, page.next.map(|after| context.cursor(after))))
    }

    /// Redrive dead letters
    ///
    /// Has them tried anew, each by the whole of its retry plan. What waits behind one in a blocked ordering key follows it.
    #[oai(path = "/dead-letters/redrive", method = "post", operation_id = "redriveDeadLetters")]
    async fn redrive(&self, context: Context, input: Validated<DeadLetterChoice>) -> Result<Accepted<MendedDeliveries>, Problem> {
        let request = context.request(input.canonical.as_deref());
        Ok(Accepted::of(context.app().redrive_dead_letters(request, input.body.which()).await?))
    }

    /// Discard dead letters
    ///
    /// Lets them be for good. An ordering key that one of them blocked goes on behind it.
    #[oai(path = "/dead-letters/discard", method = "post", operation_id = "discardDeadLetters")]
    async fn discard(&self, context: Context, input: Validated<DeadLetterChoice>) -> Result<Accepted<MendedDeliveries>, Problem> {
        let request = context.request(input.canonical.as_deref());
        Ok(Accepted::of(context.app().discard_dead_letters(request, input.body.which()).await?))
    }
}
