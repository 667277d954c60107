//! Test infrastructure: gateways in separate processes, real databases, a real nats-server, recording receivers.
//!
//! Used by `tests/it` and `tests/bench`. `make test` provides what is needed and passes its location in environment variables.
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
pub mod history;
pub mod identity_provider;
pub mod nats;
pub mod peers;
pub mod pending;
pub mod receiver;
pub mod small_mount;
pub mod story;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Mutex,
    time::{Duration, Instant},
};

use tokio::net::TcpSocket;

/// Longest a test waits for what has to come, and for a process to start or to end. No promise is measured by it: it is far more than
/// anything takes on a machine whose cores are all busy with other work, and only a failing test waits so long.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// The workspace's folder.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("a parent").to_path_buf()
}

/// Reads a variable that `make test` sets.
pub fn required(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; run the tests by `make test`"))
}

/// A folder of this test, removed at its end unless the test fails.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        Self::below(&std::env::temp_dir(), name)
    }

    /// One in memory, where the machine has such a file system: for tests that write much and are not about disks.
    pub fn in_memory(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self::below(memory, name) } else { Self::new(name) }
    }

    fn below(base: &Path, name: &str) -> Self {
        let path = base.join(format!("billwire-{name}-{}", uuid::Uuid::now_v7().simple()));
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

/// A port of 127.0.0.1 that the kernel has chosen, reserved until this process ends: its socket is bound but does not listen. On Linux
/// the kernel then gives the port to no other socket, except to one that names it and sets `SO_REUSEADDR`. All servers of the tests do,
/// so that they can listen on it, and listen on it again after a restart.
pub fn reserved_port() -> u16 {
    static RESERVED: Mutex<Vec<TcpSocket>> = Mutex::new(Vec::new());
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("the option");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let port = socket.local_addr().expect("an address").port();
    // On other systems the socket would keep the server from listening.
    if cfg!(target_os = "linux") {
        RESERVED.lock().expect("not poisoned").push(socket);
    }
    port
}

/// Waits until `done` returns a value, for at most [`PATIENCE`]; otherwise panics and names `what` is missing.
pub async fn eventually<T>(what: &str, mut done: impl AsyncFnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    // Polling takes time away from the awaited work, so the interval grows.
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
