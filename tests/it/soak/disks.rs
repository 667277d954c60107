//! Disks of NATS and of the warehouse that are full for a while, again and again, while clients work: operations are accepted, and everything
//! arrives once there is room.

use std::{path::Path, time::Duration};

use billwire_tests::{
    eventually,
    gateway::{BOTH, Database, Setup},
    peers,
    small_mount::SmallMount,
};
use serde_json::{Value, json};

use super::{Dice, length, pace};
use crate::drills::Scene;

/// How long a disk is full.
const FULL: Duration = Duration::from_millis(1500);

/// A scene in which a folder of the gateway's data is on a small disk of its own.
async fn with_folder_on(mount: &SmallMount, folder: &str, database: Database) -> (Scene, billwire_tests::gateway::Gateway) {
    let mut setup = Setup::new(&format!("{folder}-full"), database);
    std::fs::create_dir_all(setup.data_dir()).expect("a folder");
    std::os::unix::fs::symlink(mount.path(), setup.data_dir().join(folder)).expect("a link");
    // Operations are accepted all the same, so that something is certainly written while the disk is full.
    setup.set("BILLWIRE_DISK_FREE_MIN_MB", "0");
    Scene::on(setup).await
}

/// Fills the disk at random moments; whatever was accepted by then has `arrived` afterwards, given the event's id.
async fn full_again_and_again(database: Database, folder: &str, arrived: impl AsyncFn(&Scene, &str) -> bool) {
    let rounds = length("DISK_ROUNDS", 2);
    let mount = SmallMount::new("full", 64 + 8 * u32::try_from(rounds).expect("few"));
    let (mut scene, gateway) = with_folder_on(&mount, folder, database).await;
    pace(&mut scene);
    scene.start_work().await;
    let mut dice = Dice::new();
    for round in 0..rounds {
        dice.moment().await;
        let full = mount.fill();
        scene.all_work("operations accepted while the disk is full").await;
        tokio::time::sleep(FULL).await;
        drop(full);
        let made = scene.api.post("/v1/bill-cycles", json!({ "name": "c", "period": "month", "billingDay": 1 })).await.expect(201);
        let id = made["events"][0]["id"].as_str().unwrap().to_owned();
        eventually("an event after the disk was full", async || arrived(&scene, &id).await.then_some(())).await;
        println!("round {round} on {database:?}: the disk of {folder} was full");
        scene.more.push(made);
    }
    let told = scene.told();
    assert!(told.keys().all(|told| matches!(&**told, "200" | "201")), "{told:?}");
    scene.end(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_nats_server_goes_on_by_itself_once_its_disk_has_room() {
    full_again_and_again(Database::Sqlite, "nats", async |scene, id| {
        scene.receiver.calls().iter().any(|call| call.header("webhook-id") == id)
    })
    .await;
}

fn is_loaded(folder: &Path, id: &str) -> bool {
    peers::warehouse(folder)["ids"].as_array().is_some_and(|ids| ids.contains(&Value::from(id)))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_warehouse_goes_on_by_itself_once_its_disk_has_room() {
    for database in BOTH {
        full_again_and_again(database, "warehouse", async |scene, id| {
            tokio::time::sleep(Duration::from_millis(300)).await;
            is_loaded(&scene.setup.data_dir().join("warehouse"), id)
        })
        .await;
    }
}
