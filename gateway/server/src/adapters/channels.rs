//! The list of channels: how each is registered, and what each is asked to do for a configured action. A new channel is a crate of its
//! own and one line in each of the two functions.

use std::sync::Arc;

use billwire_app::App;
use billwire_delivery::channel::{Action, Channels};
use billwire_email::{EmailAction, EmailChannel};
use billwire_schemas::ids::SmtpAccountId;
use billwire_webhook::{WebhookAction, WebhookChannel};
use uuid::Uuid;

use crate::{
    adapters::{
        delivery_store::SqlDeliveryStore,
        internal_actions::{CalculateAction, CalculateChannel, ForwardAction, ForwardChannel},
        routing_config::calculated,
    },
    domain::delivery::subscription::Action as Configured,
};

/// Every channel, registered.
pub fn registered(store: SqlDeliveryStore, webhook: Arc<WebhookChannel>, smtp: Arc<billwire_email::Client>, app: App) -> Channels {
    Channels::default()
        .with(webhook)
        .with(Arc::new(EmailChannel::new(store.clone(), smtp)))
        .with(Arc::new(ForwardChannel(store)))
        .with(Arc::new(CalculateChannel(app)))
}

/// What a channel is asked to do for a configured action. `default` is the tenant's default SMTP account; without one the account is the
/// nil id, which never exists, so that the attempt reports what is missing.
pub fn action_of(action: Configured, default: Option<SmtpAccountId>) -> Action {
    match action {
        Configured::Webhook { webhook_endpoint_id, path } => WebhookAction { endpoint: webhook_endpoint_id, path }.into(),
        Configured::Email { smtp_account_id, notification_template_id, to, cc, bcc, attach_event } => {
            let smtp_account = smtp_account_id.or(default).unwrap_or(SmtpAccountId(Uuid::nil()));
            EmailAction { smtp_account, template: notification_template_id, to, cc, bcc, attach_event }.into()
        }
        Configured::Forward { queue_id } => ForwardAction { queue: queue_id }.into(),
        Configured::Calculate { event_type, data } => CalculateAction { event_type, data: calculated(data) }.into(),
    }
}
