//! API keys that the command line and the first start create.

use billwire_app::{NewKey, new_key};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    ids::TenantId,
};
use billwire_store::{AdminKey, ApiKey, Store};

/// Name of the key that `BILLWIRE_ADMIN_KEY` sets.
const ADMIN: &str = "admin";

/// Ensures that there is an admin key: the configured one, which replaces the one configured before, or, at the very first start, a new
/// one, which is returned. If no key is configured any more, the last one stays valid.
///
/// # Errors
/// When the database fails.
pub async fn ensure_admin_key(store: &Store, configured: Option<String>) -> Result<Option<String>, String> {
    let keys = store.api_keys().await.map_err(|e| e.to_string())?;
    let Some(token) = configured else {
        if keys.iter().any(|key| key.revoked_at.is_none()) {
            return Ok(None);
        }
        let new = create(store, TenantId::default_tenant(), ADMIN, every_scope(), None).await?;
        return Ok(Some(new.token));
    };
    let new = new_key(TenantId::default_tenant(), ADMIN, every_scope(), Some(token), SystemClock.now()).map_err(|e| e.to_string())?;
    match store.set_admin_key(&new.key).await.map_err(|e| e.to_string())? {
        AdminKey::Unchanged => {}
        AdminKey::Revoked => tracing::warn!(key.id = new.key.id, "BILLWIRE_ADMIN_KEY was revoked and is not accepted; set another key"),
        AdminKey::Set { replaced: Some(replaced) } => {
            tracing::info!(key.id = new.key.id, replaced, "BILLWIRE_ADMIN_KEY has changed; the key it set before is revoked");
        }
        AdminKey::Set { replaced: None } => {
            // An old version, which did not record the configured key, may have left earlier ones. They look like keys that users created.
            let alike = |key: &&ApiKey| (&key.tenant, &key.name, &key.scopes) == (&new.key.tenant, &new.key.name, &new.key.scopes);
            for old in keys.iter().filter(alike).filter(|key| key.id != new.key.id && key.revoked_at.is_none()) {
                tracing::warn!(key.id = old.id, "another admin key is valid; revoke it with `billwire keys revoke` if nobody needs it");
            }
        }
    }
    Ok(None)
}

fn every_scope() -> Vec<String> {
    vec!["*".to_owned()]
}

/// Creates and saves a key.
///
/// # Errors
/// When the database fails.
pub async fn create(store: &Store, tenant: TenantId, name: &str, scopes: Vec<String>, token: Option<String>) -> Result<NewKey, String> {
    let new = new_key(tenant, name, scopes, token, SystemClock.now()).map_err(|e| e.to_string())?;
    store.save_api_key(&new.key).await.map_err(|e| e.to_string())?;
    Ok(new)
}
