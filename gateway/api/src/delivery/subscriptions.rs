//! Subscriptions.

use std::collections::{BTreeMap, HashMap};

use billwire_app::{
    CreateSubscription, EnableSubscription, UpdateSubscription,
    domain::delivery::subscription::{self, GivenUp as WhenGivenUp},
};
use billwire_schemas::{
    events::selection::Selection,
    ids::{SubscriptionId, fresh},
    refusal::Code,
};
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    customers::account_bill_cycle::NoMembers,
    delivery::{
        selections::{ObjectEvents, ObjectEventsInput, objects},
        subscription_actions::{SubscriptionAction, SubscriptionActionInput, check_action, expressions},
    },
    http::{
        problem::{Problem, Violation},
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::scalars::{CelExpression, CelFilter, EventTypePattern, GivenUp, Moment, Name, Reference},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Actions on selected events of a queue.
    #[oai(rename = "Subscriptions")]
    Subscriptions,
}

pub(crate) struct Subscriptions;

/// Refusals of an invalid subscription.
const UNFIT: [Code; 23] = [
    Code::NameTaken,
    Code::QueueUnknown,
    Code::WebhookEndpointUnknown,
    Code::SmtpAccountUnknown,
    Code::NotificationTemplateUnknown,
    Code::SystemUserUnknown,
    Code::EventTypeUnknown,
    Code::EventObjectUnknown,
    Code::EventTypeNotOnQueue,
    Code::EventTypeNotCustom,
    Code::OrderingKeyRequired,
    Code::DataIncomplete,
    Code::ExpressionSyntax,
    Code::ExpressionTooComplex,
    Code::ExpressionUnknownParameter,
    Code::TooManyExpressions,
    Code::ParameterNameInvalid,
    Code::ParameterNameTaken,
    Code::PathInvalid,
    Code::ForwardCycle,
    Code::TemplateUnknownParameter,
    Code::TemplateForbidden,
    Code::TemplateTooComplex,
];

/// [`UNFIT`] and the refusal of a missing subscription.
const UNFIT_OR_MISSING: [Code; 24] = {
    let mut codes = [Code::SubscriptionNotFound; 24];
    let mut at = 0;
    while at < UNFIT.len() {
        codes[at + 1] = UNFIT[at];
        at += 1;
    }
    codes
};

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create("createSubscription", "subscriptions:write", &UNFIT, created("subscription", "Subscription", &[])),
    list("listSubscriptions", "subscriptions:read"),
    get("getSubscription", "subscriptions:read", &[Code::SubscriptionNotFound]),
    change("updateSubscription", "subscriptions:write", &UNFIT_OR_MISSING, updated("subscription", "Subscription", &[])),
    change(
        "enableSubscription",
        "subscriptions:write",
        &[Code::SubscriptionNotFound, Code::AlreadyEnabled],
        updated("subscription", "Subscription", &[]),
    ),
    change(
        "disableSubscription",
        "subscriptions:write",
        &[Code::SubscriptionNotFound, Code::AlreadyDisabled],
        updated("subscription", "Subscription", &[]),
    ),
    delete("deleteSubscription", "subscriptions:write", &[Code::SubscriptionNotFound, Code::StillInUse], "subscription", "Subscription"),
];

/// The subscription to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SubscriptionInput {
    /// Display name; unique among subscriptions.
    name: Name,
    /// Id or name of the queue.
    queue_id: Reference,
    /// The event types to select from the queue: names and patterns. If `objects` is empty too: all events of the queue.
    #[oai(default, validator(max_items = 200, unique_items))]
    event_types: Vec<EventTypePattern>,
    /// Objects whose events to select from the queue.
    #[oai(default, validator(max_items = 100))]
    objects: Vec<ObjectEventsInput>,
    /// A CEL expression over the event and its parameters that must be true, such as `decimal(invoice.total) > decimal("1000")`.
    filter: Option<CelFilter>,
    /// Parameters to add to the events, by name; each is a CEL expression with a result of at most 256 KiB of JSON, all together 1 MiB. An expression
    /// that would read or copy more than 32 MiB of an event's values fails for that event.
    parameters: Option<HashMap<String, CelExpression>>,
    // Described by its type.
    action: SubscriptionActionInput,
    /// In an in-order queue, the handling of an ordering key's further events after a dead letter: `skip` delivers them, `block` holds them
    /// until the dead letter is redriven or discarded.
    #[oai(default = "skip")]
    when_given_up: GivenUp,
}

fn skip() -> GivenUp {
    GivenUp::Skip
}

fn given_up(wanted: GivenUp) -> WhenGivenUp {
    match wanted {
        GivenUp::Skip => WhenGivenUp::Skip,
        GivenUp::Block => WhenGivenUp::Block,
    }
}

impl Validate for SubscriptionInput {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        check_action(body, found);
    }
}

impl Example for SubscriptionInput {
    fn example() -> Self {
        Self {
            name: "erp-bill-cycle-changes".into(),
            queue_id: Reference("account-changes".to_owned()),
            event_types: vec!["account.bill_cycle_changed".into()],
            objects: vec![],
            filter: Some("account.currency == 'EUR'".into()),
            parameters: Some(HashMap::from([("sales.region".to_owned(), "account.currency == 'EUR' ? 'EU' : 'other'".into())])),
            action: SubscriptionActionInput::of_webhook("crm"),
            when_given_up: skip(),
        }
    }
}

/// Changes to a subscription. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SubscriptionUpdate {
    /// Display name; unique among subscriptions.
    name: Option<Name>,
    /// The complete list of event types to select.
    #[oai(validator(max_items = 200, unique_items))]
    event_types: Nullable<Vec<EventTypePattern>>,
    /// The complete list of objects whose events to select.
    #[oai(validator(max_items = 100))]
    objects: Nullable<Vec<ObjectEventsInput>>,
    /// A CEL expression that must be true; null or an empty string removes the filter.
    filter: Nullable<CelFilter>,
    /// The complete set of parameters to add.
    parameters: Nullable<HashMap<String, CelExpression>>,
    // Described by its type.
    action: Option<SubscriptionActionInput>,
    /// `skip` or `block`.
    when_given_up: Option<GivenUp>,
}

impl Validate for SubscriptionUpdate {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        check_action(body, found);
    }
}

impl Example for SubscriptionUpdate {
    fn example() -> Self {
        Self {
            name: None,
            event_types: Nullable::default(),
            objects: Nullable::default(),
            filter: CelFilter::from("account.currency in ['EUR', 'CHF']").into(),
            parameters: Nullable::default(),
            action: None,
            when_given_up: None,
        }
    }
}

/// A subscription: an action on selected events of a queue.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Subscription {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// Display name.
    name: String,
    /// Id of the queue.
    queue_id: Uuid,
    /// The selected event types and patterns.
    event_types: Vec<String>,
    /// Objects whose events are selected. If neither objects nor event types are given, all events of the queue are selected.
    objects: Option<Vec<ObjectEvents>>,
    /// The CEL expression that must be true.
    filter: Option<String>,
    /// The added parameters, each a CEL expression.
    parameters: Option<HashMap<String, String>>,
    // Described by its type.
    action: SubscriptionAction,
    /// `skip` or `block`.
    when_given_up: String,
    /// Whether the subscription receives current events.
    enabled: bool,
    /// Creation time. Every matching event committed since is delivered, except those committed while the subscription was disabled.
    created_at: Moment,
}

impl Example for Subscription {
    fn example() -> Self {
        Self {
            id: example_id(8),
            version: 1,
            name: "crm-bill-cycle-changes".to_owned(),
            queue_id: example_id(4),
            event_types: vec!["account.bill_cycle_changed".to_owned()],
            objects: None,
            filter: Some("account.currency == 'EUR'".to_owned()),
            parameters: Some(HashMap::from([("sales.region".to_owned(), "account.currency == 'EUR' ? 'EU' : 'other'".to_owned())])),
            action: SubscriptionAction::of_webhook(example_id(5)),
            when_given_up: "skip".to_owned(),
            enabled: true,
            created_at: example_moment(),
        }
    }
}

fn names(patterns: Vec<EventTypePattern>) -> Vec<String> {
    patterns.into_iter().map(|name| name.0).collect()
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Subscriptions")]
impl Subscriptions {
    /// Create a subscription
    ///
    /// Every matching event committed from now on is delivered. Filter, added parameters, path, calculation and template may use only
    /// parameters that every selected event type offers.
    #[oai(path = "/subscriptions", method = "post", operation_id = "createSubscription")]
    async fn create(&self, context: Context, input: Validated<SubscriptionInput>) -> Result<Created, Problem> {
        let new = input.body;
        let use_case = CreateSubscription {
            id: SubscriptionId(fresh()),
            name: new.name.0,
            queue: new.queue_id.0,
            chosen: Selection { event_types: names(new.event_types), objects: objects(new.objects) },
            filter: new.filter.map(|filter| filter.0),
            parameters: expressions(new.parameters.unwrap_or_default()),
            action: new.action.wanted(),
            when_given_up: given_up(new.when_given_up),
        };
        let reply = context.execute(input.canonical.as_deref(), use_case).await?;
        Ok(Created::under("/v1/subscriptions", reply))
    }

    /// List subscriptions
    ///
    /// Oldest first.
    #[oai(path = "/subscriptions", method = "get", operation_id = "listSubscriptions")]
    async fn list(&self, context: Context) -> Result<Listed<Subscription>, Problem> {
        Listed::configurations::<subscription::Subscription>(&context).await
    }

    /// Get a subscription
    ///
    /// Returns the object with this id.
    #[oai(path = "/subscriptions/:subscription", method = "get", operation_id = "getSubscription")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or name of the subscription.
        subscription: Path<Reference>,
    ) -> Result<Found<Subscription>, Problem> {
        Found::of(&context.app().configuration::<subscription::Subscription>(context.tenant(), &subscription.0.0).await?, &known)
    }

    /// Change a subscription
    ///
    /// Takes effect immediately. Events matched earlier are still delivered, with the changed configuration.
    #[oai(path = "/subscriptions/:subscription", method = "patch", operation_id = "updateSubscription")]
    async fn update(
        &self,
        context: Context,
        /// Id or name of the subscription.
        subscription: Path<Reference>,
        input: Validated<SubscriptionUpdate>,
    ) -> Result<Done, Problem> {
        let body = input.body;
        let use_case = UpdateSubscription {
            name: body.name.map(|name| name.0),
            event_types: body.event_types.map(names).or(Vec::new()),
            objects: body.objects.map(objects).or(Vec::new()),
            filter: body.filter.map(|filter| filter.0).or(String::new()),
            parameters: body.parameters.map(expressions).or(BTreeMap::new()),
            action: body.action.map(SubscriptionActionInput::wanted),
            when_given_up: body.when_given_up.map(given_up),
        };
        Ok(Done(context.execute_on_configuration(&subscription.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Enable a subscription
    ///
    /// Events committed from now on are delivered, and waiting deliveries resume. The body is optional.
    #[oai(path = "/subscriptions/:subscription/enable", method = "post", operation_id = "enableSubscription")]
    async fn enable(
        &self,
        context: Context,
        /// Id or name of the subscription.
        subscription: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on_configuration(&subscription.0, input.canonical.as_deref(), EnableSubscription::<true>).await?))
    }

    /// Disable a subscription
    ///
    /// Waiting deliveries pause until the subscription is enabled; events committed meanwhile are not delivered. The body is optional.
    #[oai(path = "/subscriptions/:subscription/disable", method = "post", operation_id = "disableSubscription")]
    async fn disable(
        &self,
        context: Context,
        /// Id or name of the subscription.
        subscription: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on_configuration(&subscription.0, input.canonical.as_deref(), EnableSubscription::<false>).await?))
    }

    /// Delete a subscription
    ///
    /// Waiting deliveries are discarded.
    #[oai(path = "/subscriptions/:subscription", method = "delete", operation_id = "deleteSubscription")]
    async fn delete(
        &self,
        context: Context,
        /// Id or name of the subscription.
        subscription: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<subscription::Subscription>(subscription.0).await?))
    }
}
