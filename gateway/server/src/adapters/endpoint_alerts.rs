//! E-mail to the owners of webhook endpoints: an endpoint's owner gets an e-mail when the endpoint is disabled.
//!
//! This needs no configuration: the routing config of each tenant with a default SMTP account has an internal queue, with a subscription
//! for each endpoint that has an owner. Its deliveries are like all others, with retries and dead letters; the ids are derived, so they
//! stay the same.

use std::{collections::HashMap, sync::Arc};

use billwire_delivery::event;
use billwire_email::EmailAction;
use billwire_schemas::{
    clock::Timestamp,
    events::selection::Selection,
    expression::Expression,
    ids::{NotificationTemplateId, QueueId, SmtpAccountId, SubscriptionId, TenantId},
    recipient::Recipient,
};
use billwire_store::Stored;
use uuid::Uuid;

use crate::domain::{
    delivery::{
        queue::{Mode, Queue},
        webhook_endpoint::WebhookEndpoint,
    },
    email::notification_template,
};

const DISABLED: &str = "webhook_endpoint.disabled";

fn derived(what: &str, of: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("urn:billwire:owners:{what}:{of}").as_bytes())
}

fn template() -> Option<NotificationTemplateId> {
    notification_template::predefined().find(|one| one.name == DISABLED).map(|one| one.id)
}

/// The internal queue of a tenant.
pub fn queue_id(tenant: &TenantId) -> QueueId {
    QueueId(derived("queue", tenant.as_str()))
}

/// Adds the internal queue of a tenant whose default SMTP account is `account`, with a subscription for each endpoint that has an owner.
pub fn add(
    tenant: &TenantId,
    endpoints: &[Stored<WebhookEndpoint>],
    account: SmtpAccountId,
    queues: &mut Vec<Queue>,
    by_queue: &mut HashMap<QueueId, Vec<Arc<event::Subscription>>>,
) {
    let Some(template) = template() else { return };
    let id = queue_id(tenant);
    let owned = endpoints.iter().filter_map(|stored| Some((stored, stored.body.owner_email.clone()?)));
    let subscriptions = owned.map(|(stored, owner)| {
        Arc::new(event::Subscription {
            id: SubscriptionId(derived("subscription", &stored.body.id.to_string())),
            tenant: tenant.clone(),
            chosen: Selection::of_types(&[DISABLED]),
            enabled: true,
            filter: Some(Expression::compile(&format!("webhookEndpoint.id == '{}'", stored.body.id)).map_err(|fault| fault.message)),
            parameters: Vec::new(),
            blocks: false,
            start_position: stored.start_position,
            action: EmailAction {
                smtp_account: account,
                template,
                to: vec![Recipient::Address(owner)],
                cc: Vec::new(),
                bcc: Vec::new(),
                attach_event: false,
            }
            .into(),
        })
    });
    let subscriptions: Vec<_> = subscriptions.collect();
    if subscriptions.is_empty() {
        return;
    }
    by_queue.insert(id, subscriptions);
    queues.push(Queue {
        id,
        version: 1,
        name: "owners of webhook endpoints".to_owned(),
        mode: Mode::OutOfOrder,
        registered: Selection::of_types(&[DISABLED]),
        paused: false,
        created_at: Timestamp::UNIX_EPOCH,
    });
}
