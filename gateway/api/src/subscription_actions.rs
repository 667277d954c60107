//! What a subscription does: its action, in requests and answers.
//!
//! Which members go with which type is a rule of form, told by [`check_action`].

use std::collections::{BTreeMap, HashMap};

use billwire_app::NewAction;
use poem_openapi::Object;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    fields::{ActionType, CelExpression, EmailAddress, EventTypeName, Reference, UrlPath},
    problem::Violation,
};

/// What shall be done with each matching event. `webhook` takes `webhookEndpointId` and, if wanted, `path`; `email` takes
/// `smtpAccountId`, `notificationTemplateId` and `to`; `forward` takes `queueId`; `calculate` takes `eventType` and `data`. Nothing else
/// is allowed.
#[derive(Debug, Object)]
#[oai(rename = "NewSubscriptionAction", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct NewSubscriptionAction {
    /// What is done.
    #[oai(rename = "type")]
    kind: ActionType,
    /// Of `webhook`: id of the webhook endpoint it is POSTed to.
    webhook_endpoint_id: Option<Reference>,
    /// Of `webhook`: a path below the endpoint's own, in which `{name}` stands for a parameter (percent-encoded), e.g.
    /// `/accounts/{account.id}`.
    path: Option<UrlPath>,
    /// Of `email`: id of the SMTP account that sends it.
    smtp_account_id: Option<Reference>,
    /// Of `email`: id of the template it is rendered with.
    notification_template_id: Option<Reference>,
    /// Of `email`: the recipients.
    #[oai(validator(min_items = 1, max_items = 50, unique_items))]
    to: Option<Vec<EmailAddress>>,
    /// Of `forward`: id of the queue whose subscriptions get it as well.
    queue_id: Option<Reference>,
    /// Of `calculate`: the custom event type that is published.
    event_type: Option<EventTypeName>,
    /// Of `calculate`: the members of its data, each a CEL expression over the event.
    data: Option<HashMap<String, CelExpression>>,
}

/// What each type of action must have, and what it may have besides.
const TAKES: [(&str, &[&str], &[&str]); 4] = [
    ("webhook", &["webhookEndpointId"], &["path"]),
    ("email", &["smtpAccountId", "notificationTemplateId", "to"], &[]),
    ("forward", &["queueId"], &[]),
    ("calculate", &["eventType", "data"], &[]),
];

/// Named expressions in the domain's form.
pub(crate) fn expressions(named: HashMap<String, CelExpression>) -> BTreeMap<String, String> {
    named.into_iter().map(|(name, source)| (name, source.0)).collect()
}

impl NewSubscriptionAction {
    /// What it asks the use case for.
    pub fn wanted(self) -> NewAction {
        let id = |reference: Option<Reference>| reference.map(|reference| reference.0).unwrap_or_default();
        match self.kind {
            ActionType::Webhook => NewAction::Webhook { endpoint: id(self.webhook_endpoint_id), path: self.path.map(|path| path.0) },
            ActionType::Email => NewAction::Email {
                smtp_account: id(self.smtp_account_id),
                template: id(self.notification_template_id),
                to: self.to.unwrap_or_default().into_iter().map(|address| address.0).collect(),
            },
            ActionType::Forward => NewAction::Forward { queue: id(self.queue_id) },
            ActionType::Calculate => NewAction::Calculate {
                event_type: self.event_type.map(|name| name.0).unwrap_or_default(),
                data: expressions(self.data.unwrap_or_default()),
            },
        }
    }

    /// For examples.
    pub fn of_webhook(endpoint: Uuid) -> Self {
        Self {
            kind: ActionType::Webhook,
            webhook_endpoint_id: Some(Reference(endpoint.to_string())),
            path: Some("/accounts/{account.id}".into()),
            smtp_account_id: None,
            notification_template_id: None,
            to: None,
            queue_id: None,
            event_type: None,
            data: None,
        }
    }
}

/// Names what an action lacks, and what does not go with its type.
pub(crate) fn check_action(body: &Value, found: &mut Vec<Violation>) {
    crate::typed::check(body, "action", &TAKES, found);
}

/// What is done with each matching event.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct SubscriptionAction {
    /// `webhook`, `email`, `forward` or `calculate`. More may come.
    #[oai(rename = "type")]
    kind: String,
    /// Of `webhook`: the endpoint it is POSTed to.
    webhook_endpoint_id: Option<Uuid>,
    /// Of `webhook`: the path below the endpoint's own.
    path: Option<String>,
    /// Of `email`: the SMTP account that sends it.
    smtp_account_id: Option<Uuid>,
    /// Of `email`: the template it is rendered with.
    notification_template_id: Option<Uuid>,
    /// Of `email`: the recipients.
    to: Option<Vec<String>>,
    /// Of `forward`: the queue whose subscriptions get it as well.
    queue_id: Option<Uuid>,
    /// Of `calculate`: the custom event type that is published.
    event_type: Option<String>,
    /// Of `calculate`: the members of its data, each a CEL expression.
    data: Option<HashMap<String, String>>,
}

impl SubscriptionAction {
    /// For examples.
    pub fn of_webhook(endpoint: Uuid) -> Self {
        Self {
            kind: "webhook".to_owned(),
            webhook_endpoint_id: Some(endpoint),
            path: Some("/accounts/{account.id}".to_owned()),
            smtp_account_id: None,
            notification_template_id: None,
            to: None,
            queue_id: None,
            event_type: None,
            data: None,
        }
    }
}
