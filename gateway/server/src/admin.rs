//! The admin key at the start.

use billwire_app::{
    AdminKey, App, Caller, NewApiKey,
    domain::access::{grant::Grant, scopes},
    is_signed_token,
};
use billwire_schemas::ids::TenantId;

/// Name of the key that the first start makes.
const ADMIN: &str = "admin";
/// Characters that a configured admin key has at least, and different ones among them.
const CHARS_MIN: (usize, usize) = (20, 8);

/// Ensures that there is an admin key: the configured one, which replaces the one configured before, or, at the very first start, a new
/// one, which is returned. If no key is configured any more, the last one stays valid.
///
/// # Errors
/// One line: the configured key is weak, or the database fails.
pub async fn ensure_admin_key(app: &App, configured: Option<String>) -> Result<Option<String>, String> {
    let Some(text) = configured else {
        if app.has_api_keys().await.map_err(|e| e.to_string())? {
            return Ok(None);
        }
        let scopes = vec![scopes::EVERY.to_owned()];
        let new = NewApiKey { name: ADMIN.to_owned(), scopes, roles: Vec::new(), expires_at: None, allowed_networks: Vec::new() };
        let issued = app.issue_api_key(&operator(TenantId::default_tenant(), "first start"), new).await.map_err(|e| e.to_string())?;
        return Ok(Some(issued.text));
    };
    ensure_strong(&text)?;
    match app.set_admin_key(&text).await.map_err(|e| e.to_string())? {
        AdminKey::Unchanged | AdminKey::Set { replaced: false } => {}
        AdminKey::Revoked => tracing::warn!("BILLWIRE_ADMIN_KEY was revoked and is not accepted; set another key"),
        AdminKey::Set { replaced: true } => {
            tracing::info!("BILLWIRE_ADMIN_KEY has changed; the key it set before is not accepted any more")
        }
    }
    Ok(None)
}

/// Who works on this machine, with the database at hand.
pub fn operator(tenant: TenantId, actor: &str) -> Caller {
    Caller::part(tenant, actor, Grant::everything())
}

/// Refuses a key that somebody could guess.
fn ensure_strong(text: &str) -> Result<(), String> {
    let (min, different) = CHARS_MIN;
    let distinct: std::collections::HashSet<char> = text.chars().collect();
    if is_signed_token(text) {
        return Err("BILLWIRE_ADMIN_KEY: looks like a token of an identity provider, and would be taken for one".to_owned());
    }
    if text.len() >= min && distinct.len() >= different && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(format!(
        "BILLWIRE_ADMIN_KEY: must have at least {min} visible ASCII characters, {different} of them different; `openssl rand -base64 32` prints a good one"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_key_that_can_be_guessed_is_refused() {
        for weak in [
            "",
            "a",
            "secret",
            "aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "12341234123412341234",
            "pässwörter-sind-nicht-ascii",
            "with a space in the middle",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
        ] {
            assert!(ensure_strong(weak).is_err(), "{weak}");
        }
        for strong in ["zzz-not-a-word-1234567", "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80="] {
            assert_eq!(ensure_strong(strong), Ok(()), "{strong}");
        }
    }
}
