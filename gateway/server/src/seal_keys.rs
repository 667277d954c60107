//! The keys that seal messages. They belong to the installation: created once, stored in the database encrypted with the master key, and
//! read at the start of each process.

use base64::{Engine, engine::general_purpose::STANDARD};
use billwire_bus::{SEAL_KEY_BYTES, SealKeys};
use billwire_store::{Error, Store};

use crate::{adapters::delivery_store::text, random};

/// The database setting that holds the keys, which is also the associated data of its encryption. The value is base64 keys, separated by
/// commas; the first one seals.
const SETTING: &str = "seal_keys";

/// Loads the keys. The first process of an installation creates one. A value that is encrypted with an older master key is encrypted again
/// with the current one, so that the older key can be removed.
///
/// # Errors
/// One line: the database fails, or no configured master key decrypts the value.
pub async fn load(store: &Store) -> Result<SealKeys, String> {
    let keys = store.secret_setting(SETTING, fresh).await.map_err(|error| {
        format!(
            "the keys that seal messages cannot be read ({error}); if BILLWIRE_MASTER_KEY does not decrypt them, add the master key that this \
             database was created with"
        )
    })?;
    let read = |key: &str| STANDARD.decode(key).ok().and_then(|key| <[u8; SEAL_KEY_BYTES]>::try_from(key).ok());
    let keys: Option<Vec<_>> = keys.split(',').map(read).collect();
    SealKeys::new(&keys.ok_or("the keys that seal messages cannot be parsed")?).map_err(text)
}

fn fresh() -> Result<String, Error> {
    random::bytes::<SEAL_KEY_BYTES>().map(|bytes| STANDARD.encode(bytes)).map_err(Error::Other)
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

    /// The keys' names: equal keys have equal names.
    async fn loaded(store: &Store) -> Result<String, String> {
        load(store).await.map(|keys| format!("{keys:?}"))
    }

    #[tokio::test]
    async fn processes_that_start_at_the_same_time_load_the_same_keys() {
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
        // Encrypted again by the previous load: the old key is no longer needed.
        assert_eq!(loaded(&database.open(&[&new]).await).await.unwrap(), first);
    }
}
