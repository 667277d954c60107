//! Opens the database with the configured master key.

use billwire_store::{MasterKey, Store, secrets::Sealer};

use crate::config::Settings;

/// Opens the database.
///
/// # Errors
/// One line that says what is wrong.
pub async fn open(settings: &Settings) -> Result<Store, String> {
    let keys = settings.master_keys()?;
    let sealer = Sealer::new(keys.iter().map(String::as_str)).map_err(|e| format!("BILLWIRE_MASTER_KEY: {e}"))?;
    let mut options = billwire_store::Options::new(settings.database());
    options.connections = settings.database_connections;
    options.deadlines = settings.deadlines();
    let failed = |e| format!("database {}: {e}", without_password(&settings.database()));
    let store = Store::open(options, sealer).await.map_err(failed)?;
    match store.check_master_key().await.map_err(failed)? {
        MasterKey::Right => Ok(store),
        MasterKey::Wrong { needed, configured } => Err(format!(
            "BILLWIRE_MASTER_KEY: key {configured} does not open the secrets of this database, which were encrypted with key {needed}; \
             set that key, or add it after the new one, separated by a comma"
        )),
    }
}

/// `url` without the login, for messages.
pub fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}
