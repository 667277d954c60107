//! Processes on one database that would not work together are refused at their start.

use billwire_tests::gateway::{Database, Setup};

/// The last line of the error output of a second process on the database of `setup`, which must end by itself.
async fn second(setup: &Setup, number: usize, environment: &[(&str, String)]) -> String {
    let mut command = setup.command(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("BILLWIRE_DATA_DIR", setup.folder.0.join(format!("second-{number}"))).env("BILLWIRE_LOG", "error");
    for (name, value) in environment {
        command.env(name, value);
    }
    let mut command = tokio::process::Command::from(command);
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), command.kill_on_drop(true).output()).await;
    let output = output.expect("it must be refused, and runs").expect("a run");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_another_nats_or_warehouse_on_the_same_database_is_refused_in_one_line() {
    let setup = Setup::new("together", Database::Postgres);
    let gateway = setup.start().await;
    let warehouse = format!("file://{}", setup.data_dir().join("warehouse").display());
    let line = second(&setup, 1, &[("BILLWIRE_WAREHOUSE_URL", warehouse.clone())]).await;
    assert!(line.contains("private nats-server") && line.contains("BILLWIRE_NATS_URL"), "{line}");
    let line = second(&setup, 2, &[("BILLWIRE_NATS_URL", setup.nats_address())]).await;
    assert!(line.contains("warehouse") && line.contains("BILLWIRE_WAREHOUSE_URL"), "{line}");
    let line =
        second(&setup, 3, &[("BILLWIRE_NATS_URL", "nats://u:secret@127.0.0.1:1".to_owned()), ("BILLWIRE_WAREHOUSE_URL", warehouse)]).await;
    assert!(line.contains("127.0.0.1:1") && line.contains("BILLWIRE_NATS_URL") && !line.contains("secret"), "{line}");
    // With both in common, it runs; and the first one starts again beside it.
    let consumers = setup.consumers(0);
    assert!(gateway.stop().await.success());
    let gateway = setup.start().await;
    drop(consumers);
    assert!(gateway.stop().await.success());
}
