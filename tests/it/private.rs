//! The data directory, and the nats-server that runs in it, are accessible to the owner only.

use std::{
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use billwire_tests::{
    eventually,
    gateway::{Database, Setup, nats_client, signal},
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every file and folder at or below `path` that others have access to.
fn open_to_others(path: &Path, found: &mut Vec<String>) {
    // A file removed meanwhile is not accessible.
    let Ok(there) = std::fs::symlink_metadata(path) else { return };
    if there.mode() & 0o077 != 0 {
        found.push(format!("{} {:o}", path.display(), there.mode() & 0o7777));
    }
    if there.is_dir() {
        for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
            open_to_others(&entry.path(), found);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_into_the_private_nats_server_without_a_login_that_only_the_owner_can_read() {
    let mut setup = Setup::new("stranger", Database::Sqlite);
    setup.set("BILLWIRE_LOG", "trace");
    let gateway = setup.start().await;
    setup.api().bill_cycle(1).await;
    let url = setup.nats_address();
    let (login, address) = url.strip_prefix("nats://").unwrap().split_once('@').expect("a login");
    let (user, password) = login.split_once(':').unwrap();
    let refused = |error: async_nats::ConnectError| error.to_string().contains("authorization violation");
    assert!(async_nats::connect(address).await.is_err_and(refused), "nobody");
    let wrong = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), "wrong".to_owned());
    assert!(wrong.connect(address).await.is_err_and(refused), "a wrong password");
    nats_client(&url).await;

    let mut open = Vec::new();
    open_to_others(&setup.data_dir(), &mut open);
    assert_eq!(open, Vec::<String>::new());
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        assert!(!text(&command).contains(password) && !text(&environment).contains(password), "{:?}", entry.path());
    }
    assert!(gateway.stop().await.success());
    for log in [setup.folder.0.join("gateway.log"), setup.data_dir().join("nats/nats.log")] {
        let log = std::fs::read_to_string(log).unwrap();
        assert!(!log.is_empty() && !log.contains(password));
    }
    let gateway = setup.start().await;
    let again = setup.nats_address();
    assert!(!again.contains(password), "drawn anew at each start");
    nats_client(&again).await;
    assert!(gateway.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_others_can_read_is_closed_at_the_start_and_a_shared_warehouse_stays_open() {
    let mut setup = Setup::new("wide", Database::Sqlite);
    let gateway = setup.start().await;
    assert!(gateway.stop().await.success());
    // As the previous version left it, with a file in it that is not the gateway's.
    let wide = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let data = setup.data_dir();
    for (path, mode) in
        [("", 0o755), ("billwire.db", 0o644), ("lock", 0o664), ("nats", 0o755), ("nats/store", 0o750), ("nats/nats.conf", 0o644)]
    {
        wide(&data.join(path), mode);
    }
    std::fs::write(data.join("foreign"), "").unwrap();
    wide(&data.join("foreign"), 0o644);
    let usual = std::fs::metadata(data.join("foreign")).unwrap().mode();
    let shared = setup.folder.0.join("shared");
    setup.set("BILLWIRE_WAREHOUSE_URL", format!("file://{}", shared.display()));
    let gateway = setup.start().await;
    setup.api().bill_cycle(1).await;
    eventually("a file of the warehouse", async || shared.join("duckdb.sql").exists().then_some(())).await;
    assert!(gateway.stop().await.success());
    let mut open = Vec::new();
    open_to_others(&data, &mut open);
    assert_eq!(open, [format!("{} {:o}", data.join("foreign").display(), usual & 0o7777)], "what is not ours is not touched");
    let probe = setup.folder.0.join("probe");
    std::fs::write(&probe, "").unwrap();
    let rights = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(rights(&shared.join("duckdb.sql")), rights(&probe), "a warehouse that was named has the usual rights");
    assert_eq!(rights(&shared.join("events")), rights(&setup.folder.0));
}

#[test]
fn a_data_directory_of_somebody_else_is_refused_in_one_line() {
    let setup = Setup::new("foreign-dir", Database::Sqlite);
    let foreign = setup.folder.0.join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    // Only root can change a folder's owner; other users test with the root folder, which is not theirs.
    let given = std::os::unix::fs::chown(&foreign, Some(12_345), None).is_ok();
    let folder = if given { foreign.as_path() } else { Path::new("/") };
    let output = setup.command(&["serve"]).env("BILLWIRE_DATA_DIR", folder).output().expect("a run");
    assert!(!output.status.success());
    let lines = text(&output.stderr);
    let line = lines.lines().last().unwrap_or_default();
    assert!(line.contains("BILLWIRE_DATA_DIR") && line.contains("belongs to user"), "{line}");
    // Like /tmp on most machines.
    let sticky = setup.folder.0.join("sticky");
    std::fs::create_dir(&sticky).unwrap();
    std::fs::set_permissions(&sticky, std::fs::Permissions::from_mode(0o1777)).unwrap();
    for shared in [Path::new("/"), &sticky] {
        let output = setup.command(&["serve"]).env("BILLWIRE_DATA_DIR", shared).output().expect("a run");
        assert!(!output.status.success() && text(&output.stderr).contains("only the gateway uses"), "{}", shared.display());
    }
    assert_eq!(std::fs::metadata(&sticky).unwrap().mode() & 0o7777, 0o1777, "not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_nats_server_whose_port_was_taken_meanwhile_comes_back_when_it_is_free() {
    let setup = Setup::new("port-taken", Database::Sqlite);
    let gateway = setup.start().await;
    let api = setup.api();
    api.bill_cycle(1).await;
    let address = setup.nats_address();
    let (_, at) = address.rsplit_once('@').unwrap();
    let taken = eventually("the port", async || {
        signal(&setup.nats_pid()?, "-9");
        std::net::TcpListener::bind(at).ok()
    })
    .await;
    let log = || std::fs::read_to_string(setup.folder.0.join("gateway.log")).unwrap();
    eventually("a word about the port", async || log().contains("another program has port").then_some(())).await;
    drop(taken);
    eventually("the nats-server", async || log().contains("the private nats-server is running again").then_some(())).await;
    assert_eq!(setup.nats_address(), address);
    nats_client(&address).await;
    assert!(gateway.stop().await.success());
}
