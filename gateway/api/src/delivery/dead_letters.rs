//! Dead letters: failed deliveries, to be redriven or discarded by an operator.

use billwire_app::{DeadLetters as Which, delivery_lists::Filter};
use billwire_schemas::ids::DeliveryId;
use poem_openapi::{Object, OpenApi, types::Example};

use crate::{
    delivery::deliveries::Tag,
    delivery::deliveries::{Delivery, MendedDeliveries, by_name},
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Accepted, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, in_bulk, list},
    types::scalars::{EventTypeName, Moment, Reference},
};

pub(crate) struct DeadLetters;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    list("listDeadLetters", "deliveries:read"),
    in_bulk("redriveDeadLetters", "deliveries:write", &[]),
    in_bulk("discardDeadLetters", "deliveries:write", &[]),
];

/// Selects dead letters: those that match every given member. Without members: all. One call handles up to 10 000, oldest first; repeat
/// the call while the result has that number.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct DeadLetterChoice {
    /// Delivery ids.
    #[oai(validator(min_items = 1, max_items = 1000))]
    ids: Option<Vec<Reference>>,
    /// Only dead letters of this subscription: its id or name.
    subscription_id: Option<Reference>,
    /// Only dead letters of this queue: its id or name.
    queue_id: Option<Reference>,
    /// Only dead letters of events of this type, or of types that match this pattern, such as `invoice.*`.
    event_type: Option<EventTypeName>,
    /// Only dead letters first recorded at or after this time.
    from: Option<Moment>,
    /// Only dead letters first recorded before this time.
    to: Option<Moment>,
    /// Whether they are only counted.
    #[oai(default)]
    dry_run: bool,
}

impl Validate for DeadLetterChoice {}

impl Example for DeadLetterChoice {
    fn example() -> Self {
        let subscription_id = Some(Reference("crm-bill-cycle-changes".to_owned()));
        Self { ids: None, subscription_id, queue_id: None, event_type: None, from: None, to: None, dry_run: false }
    }
}

impl DeadLetterChoice {
    async fn which(self, context: &Context) -> Result<Which, Problem> {
        let (subscription, queue) = by_name(context, self.subscription_id, self.queue_id).await?;
        // An invalid id matches nothing.
        let id = |reference: Reference| DeliveryId(reference.0.parse().unwrap_or_default());
        Ok(Which {
            ids: self.ids.unwrap_or_default().into_iter().map(id).collect(),
            subscription,
            queue,
            event_type: self.event_type.map(|kind| kind.0),
            from: self.from.map(|from| from.0),
            to: self.to.map(|to| to.0),
        })
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Deliveries")]
impl DeadLetters {
    /// List dead letters
    ///
    /// Returns failed deliveries, including those that block their ordering key. Newest first.
    #[oai(path = "/dead-letters", method = "get", operation_id = "listDeadLetters")]
    async fn list(
        &self,
        context: Context,
        /// Only dead letters of this subscription: its id or name.
        #[oai(name = "subscriptionId")]
        subscription: Query<Reference>,
        /// Only dead letters of this queue: its id or name.
        #[oai(name = "queueId")]
        queue: Query<Reference>,
        /// Only dead letters of events of this type, or of types that match this pattern, such as `invoice.*`.
        #[oai(name = "eventType")]
        kind: Query<EventTypeName>,
        /// Only dead letters first recorded at or after this time.
        from: Query<Moment>,
        /// Only dead letters first recorded before this time.
        to: Query<Moment>,
    ) -> Result<Listed<Delivery>, Problem> {
        let page_request = context.page().await?;
        let (subscription, queue) = by_name(&context, subscription.0, queue.0).await?;
        let filter = Filter {
            states: vec!["dead".to_owned(), "blocking".to_owned()],
            subscription,
            queue,
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
    /// Retries the selected dead letters, each with a new retry plan. Deliveries waiting in a blocked ordering key follow.
    #[oai(path = "/dead-letters/redrive", method = "post", operation_id = "redriveDeadLetters")]
    async fn redrive(&self, context: Context, input: Validated<DeadLetterChoice>) -> Result<Accepted<MendedDeliveries>, Problem> {
        let request = context.request(input.canonical.as_deref());
        let dry_run = input.body.dry_run;
        let which = input.body.which(&context).await?;
        if dry_run {
            return Ok(Accepted::of(context.app().count_dead_letters(request, which).await?));
        }
        Ok(Accepted::of(context.app().redrive_dead_letters(request, which).await?))
    }

    /// Discard dead letters
    ///
    /// Discards the selected dead letters permanently. A blocked ordering key continues with its next delivery.
    #[oai(path = "/dead-letters/discard", method = "post", operation_id = "discardDeadLetters")]
    async fn discard(&self, context: Context, input: Validated<DeadLetterChoice>) -> Result<Accepted<MendedDeliveries>, Problem> {
        let request = context.request(input.canonical.as_deref());
        let dry_run = input.body.dry_run;
        let which = input.body.which(&context).await?;
        if dry_run {
            return Ok(Accepted::of(context.app().count_dead_letters(request, which).await?));
        }
        Ok(Accepted::of(context.app().discard_dead_letters(request, which).await?))
    }
}
