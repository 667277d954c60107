//! Subscriptions.
//!
//! An action is one object with a `type` and optional members, in requests and answers alike, not a union: a new kind of
//! action (`forward`, `calculate`) then breaks no client, every generator makes a usable type of it (the Go one cannot build a
//! `oneOf`), and each misplaced member is named where a union could only say that nothing fits. Which members go with
//! which type is a rule of form, told by [`Checkable::further`].

use billwire_app::{CreateSubscription, DeleteConfiguration, NewAction, domain::subscription};
use billwire_schemas::ids::{SubscriptionId, fresh};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    Tag,
    answers::{Created, Done, Found, IfNoneMatch, Listed},
    checked::{Checkable, Checked},
    context::{Context, Query},
    example_id, example_moment,
    fields::{ActionType, Cursor, EmailAddress, EventTypeName, Limit, Moment, Name, Reference},
    operations::{Operation, create, created, delete, get, list},
    problem::{Problem, Violation},
};

pub(crate) struct Subscriptions;

/// What they ask for and answer.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createSubscription",
        "subscriptions:write",
        &[
            "name_taken",
            "queue_unknown",
            "webhook_endpoint_unknown",
            "smtp_account_unknown",
            "notification_template_unknown",
            "event_type_unknown",
            "event_type_not_on_queue",
            "template_unknown_parameter",
        ],
        created("subscription", "Subscription", &[]),
    ),
    list("listSubscriptions", "subscriptions:read"),
    get("getSubscription", "subscriptions:read", &["subscription_not_found"]),
    delete("deleteSubscription", "subscriptions:write", &["subscription_not_found"], "subscription", "Subscription"),
];

/// What shall be done with each matching event. `webhook` takes `webhookEndpointId`; `email` takes `smtpAccountId`,
/// `notificationTemplateId` and `to`. All that a type takes is required, and nothing else is allowed.
#[derive(Debug, Object)]
#[oai(rename = "NewSubscriptionAction", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct NewSubscriptionAction {
    /// What is done.
    #[oai(rename = "type")]
    kind: ActionType,
    /// Id of the webhook endpoint it is POSTed to.
    webhook_endpoint_id: Option<Reference>,
    /// Id of the SMTP account that sends it.
    smtp_account_id: Option<Reference>,
    /// Id of the template it is rendered with.
    notification_template_id: Option<Reference>,
    /// The recipients.
    #[oai(validator(min_items = 1, max_items = 50, unique_items))]
    to: Option<Vec<EmailAddress>>,
}

/// What each type of action takes; all of it is required.
const TAKES: [(&str, &[&str]); 2] = [("webhook", &["webhookEndpointId"]), ("email", &["smtpAccountId", "notificationTemplateId", "to"])];

impl NewSubscriptionAction {
    fn wanted(self) -> NewAction {
        let id = |reference: Option<Reference>| reference.map(|reference| reference.0).unwrap_or_default();
        match self.kind {
            ActionType::Webhook => NewAction::Webhook { endpoint: id(self.webhook_endpoint_id) },
            ActionType::Email => NewAction::Email {
                smtp_account: id(self.smtp_account_id),
                template: id(self.notification_template_id),
                to: self.to.unwrap_or_default().into_iter().map(|address| address.0).collect(),
            },
        }
    }
}

/// A subscription to be made.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NewSubscription {
    /// Its name; unique among subscriptions.
    name: Name,
    /// Id of the queue it stands on.
    queue_id: Reference,
    /// The event types it wants of the queue; none named: all of them.
    #[oai(default, validator(max_items = 200, unique_items))]
    event_types: Vec<EventTypeName>,
    // Told by its type.
    action: NewSubscriptionAction,
}

impl Checkable for NewSubscription {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        let Some(action) = body.get("action").and_then(Value::as_object) else { return };
        let kind = action.get("type").and_then(Value::as_str).unwrap_or_default();
        let Some((_, takes)) = TAKES.into_iter().find(|(name, _)| *name == kind) else { return };
        for name in takes.iter().filter(|name| !action.contains_key(**name)) {
            let message = format!("'/action/{name}' is required by the type {kind}.");
            found.push(Violation::at(format!("/action/{name}"), "missing", message));
        }
        let others = TAKES.into_iter().flat_map(|(_, names)| names).filter(|name| !takes.contains(name));
        for name in others.filter(|name| action.contains_key(**name)) {
            let message = format!("'/action/{name}' does not go with the type {kind}.");
            found.push(Violation::at(format!("/action/{name}"), "not_allowed", message));
        }
    }
}

impl Example for NewSubscription {
    fn example() -> Self {
        Self {
            name: "crm-bill-cycle-changes".into(),
            queue_id: Reference(example_id(4).to_string()),
            event_types: vec!["account.bill_cycle_changed".into()],
            action: NewSubscriptionAction {
                kind: ActionType::Webhook,
                webhook_endpoint_id: Some(Reference(example_id(5).to_string())),
                smtp_account_id: None,
                notification_template_id: None,
                to: None,
            },
        }
    }
}

/// What is done with each matching event.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct SubscriptionAction {
    /// `webhook` or `email`. More may come.
    #[oai(rename = "type")]
    kind: String,
    /// Of `webhook`: the endpoint it is POSTed to.
    webhook_endpoint_id: Option<Uuid>,
    /// Of `email`: the SMTP account that sends it.
    smtp_account_id: Option<Uuid>,
    /// Of `email`: the template it is rendered with.
    notification_template_id: Option<Uuid>,
    /// Of `email`: the recipients.
    to: Option<Vec<String>>,
}

/// A subscription: what is done with which events of a queue.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct Subscription {
    /// Its id.
    id: Uuid,
    /// Its version, from 1.
    version: i64,
    /// Its name.
    name: String,
    /// The queue it stands on.
    queue_id: Uuid,
    /// The event types it wants of the queue; empty: all of them.
    event_types: Vec<String>,
    // Told by its type.
    action: SubscriptionAction,
    /// When it was made. It is owed every matching event committed after that.
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
            action: SubscriptionAction {
                kind: "webhook".to_owned(),
                webhook_endpoint_id: Some(example_id(5)),
                smtp_account_id: None,
                notification_template_id: None,
                to: None,
            },
            created_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Subscriptions")]
impl Subscriptions {
    /// Create a subscription
    ///
    /// It is owed every matching event committed from now on. A template must be content with the parameters that each of its
    /// event types offers.
    #[oai(path = "/subscriptions", method = "post", operation_id = "createSubscription")]
    async fn create(&self, context: Context, input: Checked<NewSubscription>) -> Result<Created, Problem> {
        let new = input.body;
        let use_case = CreateSubscription {
            id: SubscriptionId(fresh()),
            name: new.name.0,
            queue: new.queue_id.0,
            event_types: new.event_types.into_iter().map(|name| name.0).collect(),
            action: new.action.wanted(),
        };
        let reply = context.app().once(context.demand(input.canonical.as_deref()), use_case).await?;
        Ok(Created::under("/v1/subscriptions", reply))
    }

    /// List subscriptions
    ///
    /// Oldest first.
    #[oai(path = "/subscriptions", method = "get", operation_id = "listSubscriptions")]
    async fn list(
        &self,
        context: Context,
        /// How many items at the most.
        limit: Query<Limit>,
        /// Where to go on: `nextCursor` of the part before.
        cursor: Query<Cursor>,
    ) -> Result<Listed<Subscription>, Problem> {
        let ask = context.ask(limit.0, cursor.0.as_ref())?;
        Listed::page(&context, &context.app().list_configurations::<subscription::Subscription>(context.tenant(), ask).await?)
    }

    /// Get a subscription
    ///
    /// By its id.
    #[oai(path = "/subscriptions/:subscription", method = "get", operation_id = "getSubscription")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id of the subscription.
        subscription: Path<Reference>,
    ) -> Result<Found<Subscription>, Problem> {
        Found::of(&context.app().configuration::<subscription::Subscription>(context.tenant(), &subscription.0.0).await?, &known)
    }

    /// Delete a subscription
    ///
    /// What it is still owed is not delivered any more.
    #[oai(path = "/subscriptions/:subscription", method = "delete", operation_id = "deleteSubscription")]
    async fn delete(
        &self,
        context: Context,
        /// Id of the subscription.
        subscription: Path<Reference>,
    ) -> Result<Done, Problem> {
        let use_case = DeleteConfiguration::<subscription::Subscription>::new(subscription.0.0, context.if_match());
        Ok(Done(context.app().once(context.demand(None), use_case).await?))
    }
}
