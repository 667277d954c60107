//! A log that cannot be written: its disk is full, or nobody reads its pipe. It stops, delays and ends nothing.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Gateway, Setup},
    reserved_port,
    small_mount::SmallMount,
};
use serde_json::Value;

use super::{Dice, length};
use crate::drills::Scene;

/// A scene whose gateway logs to `log`, and its address for monitors.
async fn logging_to(name: &str, database: Database, log: impl Into<std::process::Stdio>) -> (Scene, Gateway, Api) {
    let mut setup = Setup::new(name, database);
    let address = SocketAddr::from(([127, 0, 0, 1], reserved_port()));
    setup.set("BILLWIRE_MONITORING_LISTEN", address.to_string());
    // Many lines, so that a pipe is soon full.
    setup.set("BILLWIRE_LOG", "trace");
    let (mut scene, gateway) = Scene::on(setup).await;
    assert!(gateway.stop().await.success());
    let gateway = scene.setup.start_logging_to(&["serve"], log).await;
    scene.start_work().await;
    (scene, gateway, Api::new(&format!("http://{address}"), "no-key"))
}

/// Waits for a status of the part `log`.
async fn log_is(monitor: &Api, status: &str) {
    eventually(status, async || (monitor.get("/readyz").await.expect(200)["parts"]["log"]["status"] == status).then_some(())).await;
}

/// Lines that were lost for this reason.
async fn lost(monitor: &Api, reason: &str) -> f64 {
    let metrics = monitor.get("/metrics").await.text;
    let name = format!("billwire_log_lines_lost_total{{reason=\"{reason}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_full_for_ever_stops_nothing() {
    for database in BOTH {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let (scene, gateway, monitor) = logging_to("log-full", database, full).await;
        log_is(&monitor, "degraded").await;
        assert!(lost(&monitor, "write_failed").await > 0.0);
        scene.all_work("work without a log").await;
        scene.end(gateway).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_stops_nothing_and_goes_on_once_it_is_read() {
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let (scene, gateway, monitor) = logging_to("log-unread", Database::Sqlite, writer).await;
    log_is(&monitor, "degraded").await;
    assert!(lost(&monitor, "queue_full").await > 0.0);
    let begun = Instant::now();
    scene.all_work("work without a log").await;
    println!("ten operations of each client in {:?}", begun.elapsed());
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).map(|_| text)
    });
    log_is(&monitor, "ok").await;
    scene.end(gateway).await;
    let text = read.join().expect("read").expect("text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let said = |message: &str| lines.iter().filter(|line| line["message"] == message).count();
    assert!(said("lines of the log were lost") > 0, "what is missing is named");
    assert!(said("stopping") > 0, "the end is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_log_nobody_reads_ends() {
    let (_reader, mut writer) = std::io::pipe().expect("a pipe");
    // Most of what a pipe holds: on a busy machine the gateway takes long to write as much.
    writer.write_all(&[b'\n'; 60_000]).expect("room");
    let (scene, gateway, monitor) = logging_to("log-unread-end", Database::Sqlite, writer).await;
    log_is(&monitor, "degraded").await;
    scene.end(gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_on_a_disk_that_is_full_for_a_while_goes_on_with_whole_lines() {
    let rounds = length("DISK_ROUNDS", 2);
    let mount = SmallMount::new("log", 512);
    let path = mount.path().join("gateway.log");
    let log = File::options().create(true).append(true).open(&path).expect("a log");
    let (scene, gateway, monitor) = logging_to("log-disk", Database::Sqlite, log).await;
    let mut dice = Dice::new();
    for round in 0..rounds {
        dice.moment().await;
        let full = mount.fill();
        log_is(&monitor, "degraded").await;
        scene.all_work("work while the log's disk is full").await;
        drop(full);
        log_is(&monitor, "ok").await;
        // Otherwise the lines of all rounds fill the disk.
        File::options().write(true).open(&path).expect("a log").set_len(0).expect("cut");
        tokio::time::sleep(Duration::from_millis(200)).await;
        println!("round {round}: {} lines lost", lost(&monitor, "write_failed").await);
    }
    scene.end(gateway).await;
    let text = std::fs::read_to_string(&path).expect("a log");
    for line in text.lines() {
        let _: Value = serde_json::from_str(line).expect(line);
    }
    assert!(text.contains("stopping"), "the end is written");
}
