//! Disks that are nearly full, and full ones of NATS.

use std::{fs::File, io::Write, time::Duration};

use billwire_tests::{
    eventually,
    gateway::{Database, Setup},
    small_mount::SmallMount,
};
use serde_json::json;

use super::Scene;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_private_nats_server_goes_on_by_itself_once_its_disk_has_room() {
    let mount = SmallMount::new("nats-full", 64);
    let mut setup = Setup::new("nats-full", Database::Sqlite);
    std::fs::create_dir_all(setup.data_dir()).expect("a folder");
    std::os::unix::fs::symlink(mount.path(), setup.data_dir().join("nats")).expect("a link");
    // Operations are accepted, so that the server is certainly asked to store their events.
    setup.set("BILLWIRE_DISK_FREE_MIN_MB", "0");
    let (mut scene, gateway) = Scene::on(setup).await;
    scene.start_work().await;
    for round in 0..3 {
        let full = mount.fill();
        scene.all_work("operations accepted while NATS is full").await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        drop(full);
        scene.all_work("operations").await;
        // Whatever was accepted until now arrives.
        let made = scene.api.post("/v1/bill-cycles", json!({ "name": "c", "period": "month", "billingDay": 1 })).await.expect(201);
        let id = made["events"][0]["id"].as_str().unwrap().to_owned();
        eventually("an event after the disk was full", async || {
            scene.receiver.calls().iter().any(|call| call.header("webhook-id") == id).then_some(())
        })
        .await;
        println!("round {round}: NATS goes on");
        scene.more.push(made);
    }
    let told = scene.told();
    assert!(told.keys().all(|told| matches!(&**told, "200" | "201")), "{told:?}");
    scene.end(gateway).await;
}
