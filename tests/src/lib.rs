//! What the tests stand on: real gateways as processes, real databases, a real nats-server, receivers that record.
//!
//! Used by `tests/it` and `tests/bench`. `make test` brings what is needed and says where it is by environment variables.
#![expect(
    clippy::print_stderr,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code: a failed expectation is the report; it reads its own environment and makes its own client"
)]

pub mod api;
pub mod certificates;
pub mod gateway;
pub mod peers;
pub mod receiver;
pub mod small_mount;
pub mod story;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

/// Longest a test waits for what has to come, and for a process to start or to end. No promise is measured by it: it is far more than
/// anything takes on a machine whose cores are all busy with other work, and only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The workspace's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("a parent").to_path_buf()
}

/// A variable that `make test` sets.
pub fn required(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run the tests by `make test`"))
}

/// A folder of this test's own, removed at its end unless the test fails.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("billwire-{name}-{}", uuid::Uuid::now_v7().simple()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A port nobody listens on right now, given to nobody else in this process. It lies below the range from which systems lend ports to
/// outgoing connections: a server that is away for a moment finds it free again.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const PORTS: u16 = 10_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at the same time begin at different places.
    let begin = u16::try_from(std::process::id() % 100).expect("small") * (PORTS / 100);
    let next = || FIRST + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
    std::iter::repeat_with(next).take(PORTS.into()).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a port")
}

/// Waits until `done` gives something, for [`PATIENCE`] at the most; says `what` was missing otherwise.
pub async fn eventually<T>(what: &str, mut done: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    // Looking takes time from what is waited for, so it is done less often the longer that takes.
    let mut pause = Duration::from_millis(10);
    loop {
        if let Some(found) = done().await {
            return found;
        }
        assert!(Instant::now() < until, "after {} s still missing: {what}", PATIENCE.as_secs());
        tokio::time::sleep(pause).await;
        pause = (pause * 5 / 4).min(Duration::from_millis(200));
    }
}
