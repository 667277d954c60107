//! What is kept of the configuration is never older than the revision that it is kept for.

use billwire_app::{Caller, CreateSystemUser, RequestContext};
use billwire_schemas::{
    clock::ShiftedClock,
    ids::{SystemUserId, fresh},
};
use billwire_store::{Options, secrets::Sealer};

use super::*;
use crate::{
    adapters::channels,
    config::Settings,
    domain::{access::grant::Grant, email::system_user},
};

struct Rig {
    delivery_store: SqlDeliveryStore,
    folder: std::path::PathBuf,
}

impl Rig {
    async fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("billwire-adapters-{}", fresh()));
        let key = Sealer::fresh_master_key().expect("a key");
        let url = format!("sqlite://{}", folder.join("billwire.db").display());
        let store = Store::open(Options::new(url), Sealer::new([key.as_str()]).expect("a sealer")).await.expect("a store");
        let app = App::new(store.clone(), Arc::new(ShiftedClock::default()), false);
        let limits = Settings::default().limits();
        let delivery_store = SqlDeliveryStore::new(store, app, limits, "me".to_owned(), channels::action_of);
        let rig = Self { delivery_store, folder };
        rig.change().await;
        rig.delivery_store.routing().await.expect("read");
        rig
    }

    /// Changes the configuration.
    async fn change(&self) {
        let caller = Caller::part(TenantId::default_tenant(), "me", Grant::default());
        let id = fresh();
        let settings = system_user::Settings {
            name: Some(format!("user {id}")),
            email: Some(format!("{id}@example.com")),
            ..system_user::Settings::default()
        };
        let create = CreateSystemUser { id: SystemUserId(id), settings };
        self.delivery_store.app.execute(RequestContext::of(caller), create).await.expect("created");
    }

    /// What is kept, or else what `read` gives.
    async fn kept(&self, read: impl Future<Output = Result<Arc<Readers>, String>>) -> Arc<Readers> {
        self.delivery_store.cached(&TenantId::default_tenant(), |cache| &mut cache.readers, (), read).await.expect("read")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_kept_after_it() {
    let rig = Rig::new().await;
    let (old, new) = (Arc::new(Readers::default()), Arc::new(Readers::default()));
    let changed_meanwhile = async {
        rig.change().await;
        rig.delivery_store.routing().await.expect("read");
        Ok(old.clone())
    };
    assert!(Arc::ptr_eq(&rig.kept(changed_meanwhile).await, &old));
    assert!(Arc::ptr_eq(&rig.kept(async { Ok(new.clone()) }).await, &new), "read again");
    assert!(Arc::ptr_eq(&rig.kept(async { Ok(old.clone()) }).await, &new), "kept");
}

#[tokio::test]
async fn what_was_read_during_a_change_is_read_again_once_the_change_is_known() {
    let rig = Rig::new().await;
    let (old, new) = (Arc::new(Readers::default()), Arc::new(Readers::default()));
    let changed_meanwhile = async {
        rig.change().await;
        Ok(old.clone())
    };
    assert!(Arc::ptr_eq(&rig.kept(changed_meanwhile).await, &old));
    rig.delivery_store.routing().await.expect("read");
    assert!(Arc::ptr_eq(&rig.kept(async { Ok(new.clone()) }).await, &new));
}
