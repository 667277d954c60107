//! What a subscription does: its action, in requests and answers.
//!
//! Which members go with which type is a rule of form, told by [`check_action`].

use std::collections::{BTreeMap, HashMap};

use billwire_app::NewAction;
use billwire_schemas::recipient::Recipient;
use poem_openapi::Object;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    http::problem::Violation,
    types::scalars::{ActionType, CelExpression, EventTypeName, MailRecipient, Reference, UrlPath},
};

/// What shall be done with each matching event. `webhook` takes `webhookEndpointId` and, if wanted, `path`; `email` takes
/// `notificationTemplateId`, `to` and, if wanted, `smtpAccountId`, `cc`, `bcc` and `attachEvent`; `forward` takes `queueId`; `calculate` takes `eventType` and `data`. Nothing else
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
    /// Of `email`: id of the SMTP account that sends it. Absent: the tenant's default account.
    smtp_account_id: Option<Reference>,
    /// Of `email`: id of the template it is rendered with, one of your own or a predefined one.
    notification_template_id: Option<Reference>,
    /// Of `email`: the recipients. Each is an e-mail address, the id of a system user, or the name of a parameter that holds an address,
    /// such as `contact.email`.
    #[oai(validator(min_items = 1, max_items = 50, unique_items))]
    to: Option<Vec<MailRecipient>>,
    /// Of `email`: those who get a copy.
    #[oai(validator(max_items = 50, unique_items))]
    cc: Option<Vec<MailRecipient>>,
    /// Of `email`: those who get a copy that the others do not see.
    #[oai(validator(max_items = 50, unique_items))]
    bcc: Option<Vec<MailRecipient>>,
    /// Of `email`: whether the event itself is attached, as JSON. Absent: it is not.
    attach_event: Option<bool>,
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
    ("email", &["notificationTemplateId", "to"], &["smtpAccountId", "cc", "bcc", "attachEvent"]),
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
                smtp_account: self.smtp_account_id.map(|reference| reference.0),
                template: id(self.notification_template_id),
                to: recipients(self.to),
                cc: recipients(self.cc),
                bcc: recipients(self.bcc),
                attach_event: self.attach_event.unwrap_or(false),
            },
            ActionType::Forward => NewAction::Forward { queue: id(self.queue_id) },
            ActionType::Calculate => NewAction::Calculate {
                event_type: self.event_type.map(|name| name.0).unwrap_or_default(),
                data: expressions(self.data.unwrap_or_default()),
            },
        }
    }

    /// Builds an example.
    pub fn of_webhook(endpoint: Uuid) -> Self {
        Self {
            kind: ActionType::Webhook,
            webhook_endpoint_id: Some(Reference(endpoint.to_string())),
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
    // What is none was refused by `check_action`.
    texts.unwrap_or_default().iter().filter_map(|text| Recipient::parse(&text.0)).collect()
}

/// Names what an action lacks, what does not go with its type, and recipients that are none.
pub(crate) fn check_action(body: &Value, found: &mut Vec<Violation>) {
    crate::types::tagged_union::check(body, "action", &TAKES, found);
    for member in ["to", "cc", "bcc"] {
        for (index, recipient) in body["action"][member].as_array().into_iter().flatten().enumerate() {
            let text = recipient.as_str().unwrap_or_default();
            let pointer = format!("/action/{member}/{index}");
            if !text.is_empty() && Recipient::parse(text).is_none() && !found.iter().any(|one| one.pointer.as_deref() == Some(&pointer)) {
                let message = format!("'{pointer}' must be an e-mail address, the id of a system user, or the name of a parameter.");
                found.push(Violation::at(pointer, "format", message));
            }
        }
    }
}

/// What is done with each matching event.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct SubscriptionAction {
    /// `webhook`, `email`, `forward` or `calculate`. More values may be added.
    #[oai(rename = "type")]
    kind: String,
    /// Of `webhook`: the endpoint it is POSTed to.
    webhook_endpoint_id: Option<Uuid>,
    /// Of `webhook`: the path below the endpoint's own.
    path: Option<String>,
    /// Of `email`: the SMTP account that sends it; absent: the default one.
    smtp_account_id: Option<Uuid>,
    /// Of `email`: the template it is rendered with.
    notification_template_id: Option<Uuid>,
    /// Of `email`: the recipients.
    to: Option<Vec<String>>,
    /// Of `email`: those who get a copy.
    cc: Option<Vec<String>>,
    /// Of `email`: those who get a copy unseen.
    bcc: Option<Vec<String>>,
    /// Of `email`: whether the event is attached.
    attach_event: Option<bool>,
    /// Of `forward`: the queue whose subscriptions get it as well.
    queue_id: Option<Uuid>,
    /// Of `calculate`: the custom event type that is published.
    event_type: Option<String>,
    /// Of `calculate`: the members of its data, each a CEL expression.
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
