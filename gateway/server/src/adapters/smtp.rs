//! What the e-mail channel reads from the store, and SMTP for the use cases.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use billwire_app::{SmtpCheck, SmtpClient};
use billwire_delivery::store::DeliveryStore;
use billwire_email::{Accounts, Client, Password, Readers, Security, SmtpAccount, SystemUser, probe::Probed};
use billwire_schemas::{
    delivery::Recipient,
    events::envelope::Parameters,
    ids::{DeliveryId, EventId, NotificationTemplateId, SmtpAccountId, TenantId},
    template::{RenderError, Rendered, Rendering, Translated},
};
use billwire_store::ConfigurationKind as Kind;

use crate::{
    adapters::delivery_store::{SqlDeliveryStore, text},
    domain,
};

fn account_of(body: domain::email::smtp_account::SmtpAccount, password: Option<String>) -> SmtpAccount {
    SmtpAccount {
        id: body.id,
        version: body.version,
        server: body.server,
        port: body.port,
        security: match body.security {
            domain::email::smtp_account::Security::None => Security::None,
            domain::email::smtp_account::Security::Starttls => Security::Starttls,
            domain::email::smtp_account::Security::Tls => Security::Tls,
        },
        from_name: body.from_name,
        from_address: body.from_address,
        username: body.username,
        password: password.filter(|_| body.has_password).map(Password::new),
        connections: body.connections as usize,
        recipients: body.max_recipients as usize,
    }
}

#[async_trait]
impl Accounts for SqlDeliveryStore {
    async fn smtp_account(&self, tenant: &TenantId, id: SmtpAccountId) -> Result<Option<Arc<SmtpAccount>>, String> {
        let read = async {
            let row = self.store().configuration_with_secrets::<domain::email::smtp_account::SmtpAccount>(tenant, Kind::SmtpAccount, id.0);
            Ok(row.await.map_err(text)?.map(|(body, password)| Arc::new(account_of(body, password))))
        };
        self.cached(tenant, |cache| &mut cache.accounts, id, read).await
    }

    async fn template(&self, tenant: &TenantId, id: NotificationTemplateId) -> Result<Option<Arc<Translated>>, String> {
        let read = async {
            let found = match domain::email::notification_template::predefined().find(|one| one.id == id) {
                Some(found) => Some(found),
                None => self.store().configuration(tenant, Kind::NotificationTemplate, id.0).await.map_err(text)?,
            };
            Ok(found.map(|body: domain::email::notification_template::NotificationTemplate| Arc::new(body.translated())))
        };
        self.cached(tenant, |cache| &mut cache.templates, id, read).await
    }

    async fn render(&self, tenant: &TenantId, rendering: Rendering) -> Result<Result<Rendered, RenderError>, String> {
        self.app().render(tenant, rendering).await
    }

    async fn readers(&self, tenant: &TenantId) -> Result<Arc<Readers>, String> {
        let read = async {
            let users = self.store().configurations::<domain::email::system_user::SystemUser>(tenant, Kind::SystemUser);
            let user = |body: domain::email::system_user::SystemUser| {
                let domain::email::system_user::SystemUser { id, name, email, language, time_zone, active, .. } = body;
                (id, SystemUser { name, email, language, time_zone, active })
            };
            let users = users.await.map_err(text)?.into_iter().map(user).collect();
            let time_zone = self.app().billing_settings(tenant).await.map_err(text)?.time_zone;
            Ok(Arc::new(Readers { users, time_zone }))
        };
        self.cached(tenant, |cache| &mut cache.readers, (), read).await
    }

    async fn private_parameters(&self, tenant: &TenantId, event: EventId) -> Result<Parameters, String> {
        let found = self.store().private_parameters(tenant, event).await.map_err(text)?;
        found.map_or_else(|| Ok(Parameters::new()), |found| serde_json::from_str(&found).map_err(text))
    }

    async fn earlier(&self, delivery: DeliveryId) -> Result<Vec<Recipient>, String> {
        Ok(self.store().recipients(delivery).await.map_err(text)?.into_iter().map(|(recipient, _)| recipient).collect())
    }

    async fn suppressed(&self, tenant: &TenantId, addresses: &[String]) -> Result<HashSet<String>, String> {
        self.app().suppressed(tenant, addresses).await.map_err(text)
    }

    async fn suppress(&self, tenant: &TenantId, delivery: DeliveryId, refused: &Recipient) -> Result<(), String> {
        self.app().suppress(tenant.clone(), delivery, &refused.address, refused.status, &refused.detail).await.map_err(text)
    }
}

/// SMTP for the use cases.
pub struct SmtpAdapter {
    /// Where accounts are read from.
    pub delivery_store: SqlDeliveryStore,
    /// The SMTP client.
    pub client: Arc<Client>,
}

impl SmtpAdapter {
    async fn account(&self, tenant: &TenantId, id: SmtpAccountId) -> Result<Arc<SmtpAccount>, String> {
        // Clears the cache after a change.
        self.delivery_store.routing().await?;
        self.delivery_store.smtp_account(tenant, id).await?.ok_or_else(|| "the SMTP account does not exist any more".to_owned())
    }
}

fn verdict(Probed { works, stage, report }: Probed, latency: Duration) -> SmtpCheck {
    SmtpCheck { works, stage, status: report.status, detail: report.detail, latency }
}

#[async_trait]
impl SmtpClient for SmtpAdapter {
    async fn verify(&self, tenant: &TenantId, account: SmtpAccountId) -> Result<SmtpCheck, String> {
        let account = self.account(tenant, account).await?;
        let began = Instant::now();
        Ok(verdict(self.client.probe(&account).await, began.elapsed()))
    }

    async fn send_test(&self, tenant: &TenantId, account: SmtpAccountId, to: &str) -> Result<SmtpCheck, String> {
        let account = self.account(tenant, account).await?;
        let began = Instant::now();
        Ok(verdict(self.client.send_test(&account, to).await, began.elapsed()))
    }
}
