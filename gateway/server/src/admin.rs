//! API keys from the command line and at the first start.

use billwire_app::{NewKey, key_id, new_key};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    ids::TenantId,
};
use billwire_store::Store;

/// Name of the key that `BILLWIRE_ADMIN_KEY` sets.
const ADMIN: &str = "admin";

/// Makes sure there is an admin key: the configured one, or at the very first start a fresh one, whose text is given back.
///
/// # Errors
/// When the database fails.
pub async fn ensure_admin_key(store: &Store, configured: Option<String>) -> Result<Option<String>, String> {
    let keys = store.api_keys().await.map_err(|e| e.to_string())?;
    let made = configured.is_none();
    match &configured {
        Some(token) if keys.iter().any(|key| key.id == key_id(token)) => return Ok(None),
        None if keys.iter().any(|key| key.revoked_at.is_none()) => return Ok(None),
        _ => {}
    }
    let new = create(store, TenantId::default_tenant(), ADMIN, vec!["*".to_owned()], configured).await?;
    Ok(made.then_some(new.token))
}

/// Makes and saves a key.
///
/// # Errors
/// When the database fails.
pub async fn create(store: &Store, tenant: TenantId, name: &str, scopes: Vec<String>, token: Option<String>) -> Result<NewKey, String> {
    let new = new_key(tenant, name, scopes, token, SystemClock.now()).map_err(|e| e.to_string())?;
    store.save_api_key(&new.key).await.map_err(|e| e.to_string())?;
    Ok(new)
}
