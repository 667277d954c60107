//! E-mail to the owners of webhook endpoints: an endpoint's owner gets an e-mail when the endpoint is disabled.
//!
//! This needs no configuration: the routing config of each tenant with a default SMTP account has an internal queue, with a subscription
//! for each endpoint that has an owner. Its deliveries are like all others, with retries and dead letters; the ids are derived, so they
//! stay the same.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

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

/// Adds the internal queues, with a subscription for each endpoint that has an owner.
pub fn add(
    endpoints: &[Stored<WebhookEndpoint>],
    defaults: &HashMap<&TenantId, SmtpAccountId>,
    queues: &mut Vec<Stored<Queue>>,
    by_queue: &mut HashMap<QueueId, Vec<Arc<event::Subscription>>>,
) {
    let Some(template) = template() else { return };
    // The start of each tenant's queue: that of its first endpoint.
    let mut since: BTreeMap<TenantId, (Timestamp, i64)> = BTreeMap::new();
    for stored in endpoints {
        let Some((owner, account)) = stored.body.owner_email.as_ref().zip(defaults.get(&stored.tenant)) else { continue };
        let queue = QueueId(derived("queue", stored.tenant.as_str()));
        let subscription = event::Subscription {
            id: SubscriptionId(derived("subscription", &stored.body.id.to_string())),
            tenant: stored.tenant.clone(),
            chosen: Selection::of_types(&[DISABLED]),
            enabled: true,
            filter: Some(Expression::compile(&format!("webhookEndpoint.id == '{}'", stored.body.id)).map_err(|fault| fault.message)),
            parameters: Vec::new(),
            blocks: false,
            start_position: stored.start_position,
            action: EmailAction {
                smtp_account: *account,
                template,
                to: vec![Recipient::Address(owner.clone())],
                cc: Vec::new(),
                bcc: Vec::new(),
                attach_event: false,
            }
            .into(),
        };
        by_queue.entry(queue).or_default().push(Arc::new(subscription));
        let from = since.entry(stored.tenant.clone()).or_insert((stored.created_at, stored.start_position));
        *from = (from.0.min(stored.created_at), from.1.min(stored.start_position));
    }
    for (tenant, (created_at, start_position)) in since {
        let body = Queue {
            id: QueueId(derived("queue", tenant.as_str())),
            version: 1,
            name: "owners of webhook endpoints".to_owned(),
            mode: Mode::OutOfOrder,
            registered: Selection::of_types(&[DISABLED]),
            partitions: 1,
            paused: false,
            created_at,
        };
        queues.push(Stored { tenant, body, start_position, created_at });
    }
}
