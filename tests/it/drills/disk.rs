//! Disks that are nearly full. `soak/` has full ones.

use std::{fs::File, io::Write};

use super::Scene;
use billwire_tests::{
    eventually,
    gateway::{Database, Setup},
    small_mount::SmallMount,
};

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_refused_before_the_last_megabytes() {
    let mount = SmallMount::new("low", 64);
    let mut setup = Setup::new("storage-low", Database::Sqlite);
    setup.through = mount.entering();
    setup.leaving = Some("the database can be seen only inside the mount");
    setup.database_url = Some(format!("sqlite://{}/billwire.db", mount.inside().display()));
    setup.set("BILLWIRE_DISK_FREE_MIN_MB", "24");
    let (mut scene, gateway) = Scene::on(setup).await;
    scene.start_work().await;
    scene.api.get("/readyz").await.expect(200);
    let path = mount.path().join("other");
    let mut other = File::create(&path).expect("a file");
    for _ in 0..40 {
        other.write_all(&[0; 1 << 20]).expect("a megabyte");
    }
    let refused = || scene.told().get("503 storage_full, Retry-After").copied().unwrap_or(0);
    eventually("refusals", async || (refused() > 50).then_some(())).await;
    scene.api.get("/readyz").await.refused(503, "storage_full");
    let mut rest = File::create(mount.path().join("rest")).expect("a file");
    for _ in 0..8 {
        rest.write_all(&[0; 1 << 20]).expect("the last megabytes are still free");
    }
    drop(other);
    std::fs::remove_file(path).expect("removed");
    scene.all_work("work to go on by itself").await;
    eventually("readiness", async || (scene.api.get("/readyz").await.status == 200).then_some(())).await;
    let told = scene.told();
    assert!(told.keys().all(|told| matches!(&**told, "200" | "201" | "503 storage_full, Retry-After")), "{told:?}");
    scene.end(gateway).await;
}
