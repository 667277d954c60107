//! Subscription actions, in requests and responses.
//!
//! [`check_action`] checks which members each type allows.

use std::collections::{BTreeMap, HashMap};

use billwire_app::domain::delivery::subscription::NewAction;
use billwire_schemas::recipient::Recipient;
use poem_openapi::Object;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    http::problem::Violation,
    types::scalars::{ActionType, CelExpression, EventTypeName, MailRecipient, Reference, UrlPath},
};

/// The action for each matching event. `webhook` requires `webhookEndpointId` and allows `path`; `email` requires
/// `notificationTemplateId` and `to` and allows `smtpAccountId`, `cc`, `bcc` and `attachEvent`; `forward` requires `queueId`; `calculate`
/// requires `eventType` and `data`. Other members are refused.
#[derive(Debug, Object)]
#[oai(rename = "SubscriptionActionInput", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct SubscriptionActionInput {
    /// Type of the action.
    #[oai(rename = "type")]
    kind: ActionType,
    /// For `webhook`: id or name of the webhook endpoint that events are POSTed to.
    webhook_endpoint_id: Option<Reference>,
    /// For `webhook`: a path below the endpoint's path, in which `{name}` is replaced by a parameter's percent-encoded value, such as
    /// `/accounts/{account.id}`. It must not have `.` or `..` segments; an event that would lead out of the endpoint's path is a dead letter.
    path: Option<UrlPath>,
    /// For `email`: id or name of the sending SMTP account. Absent: the tenant's default account.
    smtp_account_id: Option<Reference>,
    /// For `email`: id of the notification template, your own or predefined, or the name of your own.
    notification_template_id: Option<Reference>,
    /// For `email`: the recipients. Each is an e-mail address, the id of a system user, or the name of a parameter with an address, such as
    /// `contact.email`.
    #[oai(validator(min_items = 1, max_items = 50, unique_items))]
    to: Option<Vec<MailRecipient>>,
    /// For `email`: the Cc recipients.
    #[oai(validator(max_items = 50, unique_items))]
    cc: Option<Vec<MailRecipient>>,
    /// For `email`: the Bcc recipients.
    #[oai(validator(max_items = 50, unique_items))]
    bcc: Option<Vec<MailRecipient>>,
    /// For `email`: whether the event is attached as JSON. Default `false`.
    attach_event: Option<bool>,
    /// For `forward`: id or name of the queue to forward events to.
    queue_id: Option<Reference>,
    /// For `calculate`: the custom event type to publish.
    event_type: Option<EventTypeName>,
    /// For `calculate`: the members of the new event's data, each a CEL expression over the event.
    data: Option<HashMap<String, CelExpression>>,
}

/// The required and the optional members of each action type.
const TAKES: [(&str, &[&str], &[&str]); 4] = [
    ("webhook", &["webhookEndpointId"], &["path"]),
    ("email", &["notificationTemplateId", "to"], &["smtpAccountId", "cc", "bcc", "attachEvent"]),
    ("forward", &["queueId"], &[]),
    ("calculate", &["eventType", "data"], &[]),
];

/// Converts named expressions to the domain's type.
pub(crate) fn expressions(named: HashMap<String, CelExpression>) -> BTreeMap<String, String> {
    named.into_iter().map(|(name, source)| (name, source.0)).collect()
}

impl SubscriptionActionInput {
    /// Converts the action for the use case.
    pub fn wanted(self) -> NewAction {
        let id = |reference: Option<Reference>| reference.map(|reference| reference.0).unwrap_or_default();
        match self.kind {
            ActionType::Webhook => {
                NewAction::Webhook { webhook_endpoint_id: id(self.webhook_endpoint_id), path: self.path.map(|path| path.0) }
            }
            ActionType::Email => NewAction::Email {
                smtp_account_id: self.smtp_account_id.map(|reference| reference.0),
                notification_template_id: id(self.notification_template_id),
                to: recipients(self.to),
                cc: recipients(self.cc),
                bcc: recipients(self.bcc),
                attach_event: self.attach_event.unwrap_or(false),
            },
            ActionType::Forward => NewAction::Forward { queue_id: id(self.queue_id) },
            ActionType::Calculate => NewAction::Calculate {
                event_type: self.event_type.map(|name| name.0).unwrap_or_default(),
                data: expressions(self.data.unwrap_or_default()),
            },
        }
    }

    /// Builds an example.
    pub fn of_webhook(endpoint: &str) -> Self {
        Self {
            kind: ActionType::Webhook,
            webhook_endpoint_id: Some(Reference(endpoint.to_owned())),
            path: Some("/accounts/{account.id}".into()),
            smtp_account_id: None,
            notification_template_id: None,
            to: None,
            cc: None,
            bcc: None,
            attach_event: None,
            queue_id: None,
            event_type: None,
            data: None,
        }
    }
}

fn recipients(texts: Option<Vec<MailRecipient>>) -> Vec<Recipient> {
    // `check_action` has refused invalid recipients.
    texts.unwrap_or_default().iter().filter_map(|text| Recipient::parse(&text.0)).collect()
}

/// Adds to `found` missing members, members that the type does not allow, and invalid recipients.
pub(crate) fn check_action(body: &Value, found: &mut Vec<Violation>) {
    crate::types::tagged_union::check(body, "action", &TAKES, found);
    for member in ["to", "cc", "bcc"] {
        for (index, recipient) in body["action"][member].as_array().into_iter().flatten().enumerate() {
            let text = recipient.as_str().unwrap_or_default();
            let pointer = format!("/action/{member}/{index}");
            if !text.is_empty() && Recipient::parse(text).is_none() && !found.iter().any(|one| one.pointer.as_deref() == Some(&pointer)) {
                let message = format!("'{pointer}' must be an e-mail address, the id of a system user, or a parameter name.");
                found.push(Violation::at(pointer, "format", message));
            }
        }
    }
}

/// The action for each matching event.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct SubscriptionAction {
    /// `webhook`, `email`, `forward` or `calculate`. More values may be added.
    #[oai(rename = "type")]
    kind: String,
    /// For `webhook`: id of the webhook endpoint.
    webhook_endpoint_id: Option<Uuid>,
    /// For `webhook`: the path below the endpoint's path.
    path: Option<String>,
    /// For `email`: id of the sending SMTP account. Absent: the tenant's default account.
    smtp_account_id: Option<Uuid>,
    /// For `email`: id of the notification template.
    notification_template_id: Option<Uuid>,
    /// For `email`: the recipients.
    to: Option<Vec<String>>,
    /// For `email`: the Cc recipients.
    cc: Option<Vec<String>>,
    /// For `email`: the Bcc recipients.
    bcc: Option<Vec<String>>,
    /// For `email`: whether the event is attached.
    attach_event: Option<bool>,
    /// For `forward`: id of the queue to forward events to.
    queue_id: Option<Uuid>,
    /// For `calculate`: the custom event type to publish.
    event_type: Option<String>,
    /// For `calculate`: the members of the new event's data, each a CEL expression.
    data: Option<HashMap<String, String>>,
}

impl SubscriptionAction {
    /// Builds an example.
    pub fn of_webhook(endpoint: Uuid) -> Self {
        Self {
            kind: "webhook".to_owned(),
            webhook_endpoint_id: Some(endpoint),
            path: Some("/accounts/{account.id}".to_owned()),
            smtp_account_id: None,
            notification_template_id: None,
            to: None,
            cc: None,
            bcc: None,
            attach_event: None,
            queue_id: None,
            event_type: None,
            data: None,
        }
    }
}
