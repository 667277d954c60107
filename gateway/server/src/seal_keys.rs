//! The keys that messages are sealed with. They belong to the installation: made once, kept in the database in an envelope of the master
//! key, read at the start of each process.

use base64::{Engine, engine::general_purpose::STANDARD};
use billwire_bus::{SEAL_KEY_BYTES, SealKeys};
use billwire_store::Store;

use crate::{adapters::delivery_store::text, random};

/// The setting they stand under, and what its envelope is bound to: keys in base64, separated by commas, the one that seals first.
const SETTING: &str = "seal_keys";

/// The keys; the first process of an installation makes one. An envelope of an older master key is replaced by one of the current, so that
/// the older one can be taken away.
///
/// # Errors
/// One line: the database fails, or no configured master key opens the envelope.
pub async fn load(store: &Store) -> Result<SealKeys, String> {
    let sealer = store.sealer();
    let sealed = match store.setting(SETTING).await.map_err(text)? {
        Some(sealed) => sealed,
        None => store.set_once(SETTING, &sealer.seal(&fresh()?, SETTING).map_err(text)?).await.map_err(text)?,
    };
    let keys = sealer.open(&sealed, SETTING).map_err(|error| {
        format!(
            "BILLWIRE_MASTER_KEY does not open the keys that messages are sealed with ({error}); add the key this database was made with"
        )
    })?;
    if !sealer.is_current(&sealed) {
        let anew = sealer.seal(&keys, SETTING).map_err(text)?;
        store.replace_setting(SETTING, &sealed, &anew).await.map_err(text)?;
    }
    let read = |key: &str| STANDARD.decode(key).ok().and_then(|key| <[u8; SEAL_KEY_BYTES]>::try_from(key).ok());
    let keys: Option<Vec<_>> = keys.split(',').map(read).collect();
    SealKeys::new(&keys.ok_or("the seal keys in the database cannot be read")?).map_err(text)
}

fn fresh() -> Result<String, String> {
    Ok(STANDARD.encode(random::bytes::<SEAL_KEY_BYTES>()?))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use billwire_store::{Options, secrets::Sealer};

    use super::*;

    struct Database(PathBuf);

    impl Database {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("billwire-seal-{}.db", billwire_schemas::ids::fresh())))
        }

        async fn open(&self, master_keys: &[&str]) -> Store {
            let sealer = Sealer::new(master_keys.iter().copied()).unwrap();
            Store::open(Options::new(format!("sqlite://{}", self.0.display())), sealer).await.unwrap()
        }
    }

    impl Drop for Database {
        fn drop(&mut self) {
            for end in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
            }
        }
    }

    /// The keys' names: the same keys have the same.
    async fn loaded(store: &Store) -> Result<String, String> {
        load(store).await.map(|keys| format!("{keys:?}"))
    }

    #[tokio::test]
    async fn processes_that_start_together_get_the_same_keys() {
        let database = Database::new();
        let master = Sealer::fresh_master_key().unwrap();
        let mut stores = Vec::new();
        for _ in 0..4 {
            stores.push(database.open(&[&master]).await);
        }
        let all = futures::future::join_all(stores.iter().map(loaded)).await;
        assert!(all.iter().all(|keys| keys.is_ok() && *keys == all[0]), "{all:?}");
        let there = stores[0].setting(SETTING).await.unwrap().unwrap();
        assert!(there.starts_with("v1."), "{there}");
    }

    #[tokio::test]
    async fn the_keys_survive_a_rotation_of_the_master_key() {
        let database = Database::new();
        let (old, new) = (Sealer::fresh_master_key().unwrap(), Sealer::fresh_master_key().unwrap());
        let first = loaded(&database.open(&[&old]).await).await.unwrap();
        let refused = loaded(&database.open(&[&new]).await).await.unwrap_err();
        assert!(refused.contains("BILLWIRE_MASTER_KEY"), "{refused}");
        assert_eq!(loaded(&database.open(&[&new, &old]).await).await.unwrap(), first);
        // Sealed anew just now: the old one is no longer needed.
        assert_eq!(loaded(&database.open(&[&new]).await).await.unwrap(), first);
    }
}
