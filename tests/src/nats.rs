//! A nats-server that a test starts and stops.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::{
    gateway::{Setup, nats_client},
    required, reserved_port, root,
};

/// A nats-server of a test's own, which can be stopped and restarted with another limit.
pub struct Nats {
    port: u16,
    child: Option<Child>,
}

impl Nats {
    pub fn new(setup: &mut Setup) -> Self {
        let port = reserved_port();
        setup.set("BILLWIRE_NATS_URL", format!("nats://127.0.0.1:{port}"));
        Self { port, child: None }
    }

    pub fn start(&mut self, setup: &Setup, max_payload: usize) {
        let folder = setup.folder.0.join("own-nats");
        std::fs::create_dir_all(&folder).expect("written");
        let file = folder.join("nats.conf");
        let store = folder.join("store");
        std::fs::write(&file, format!("max_payload: {max_payload}\njetstream {{ store_dir: \"{}\" }}\n", store.display()))
            .expect("written");
        let mut command = Command::new(required("BILLWIRE_NATS_SERVER"));
        command.args(["-a", "127.0.0.1", "-p", &self.port.to_string(), "-c"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("nats-server"));
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A nats-server with the configuration that `deploy/nats/server.conf` has, so that subscribers can connect.
pub struct ShippedNats {
    port: u16,
    folder: PathBuf,
    child: Option<Child>,
}

impl ShippedNats {
    /// Writes its configuration, makes the callout's keys, and points the gateways of `setup` to it.
    pub fn new(setup: &mut Setup) -> Self {
        let (port, folder) = (reserved_port(), setup.folder.0.join("shipped-nats"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let seeds = folder.join("callout.seed");
        let made = setup.command(&["stream", "keys", "--file", seeds.to_str().expect("a path")]).output().expect("keys");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let public = String::from_utf8_lossy(&made.stdout).into_owned();
        let passwords = "GATEWAY_PASSWORD: g4teway\nSYSTEM_PASSWORD: 5ystem\nWAREHOUSE_PASSWORD: w4rehouse\n";
        std::fs::write(folder.join("passwords.conf"), format!("{passwords}{public}")).expect("written");
        let mut conf = std::fs::read_to_string(root().join("deploy/nats/server.conf")).expect("the configuration");
        for (shipped, here) in [
            ("listen: 0.0.0.0:4222", format!("listen: 127.0.0.1:{port}")),
            ("http: 127.0.0.1:8222", String::new()),
            ("store_dir: \"/data\"", format!("store_dir: \"{}\"", folder.join("store").display())),
            ("sync_interval: always", String::new()),
        ] {
            assert!(conf.contains(shipped), "{shipped}");
            conf = conf.replacen(shipped, &here, 1);
        }
        std::fs::write(folder.join("server.conf"), conf).expect("written");
        setup.set("BILLWIRE_NATS_URL", format!("nats://gateway:g4teway@127.0.0.1:{port}"));
        setup.set("BILLWIRE_NATS_CALLOUT_URL", format!("nats://gateway_system:5ystem@127.0.0.1:{port}"));
        setup.set("BILLWIRE_NATS_CALLOUT_SEED_FILE", seeds.display().to_string());
        Self { port, folder, child: None }
    }

    /// Starts it, and waits until it answers.
    pub async fn start(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("nats.log")).expect("a log");
        let mut command = Command::new(required("BILLWIRE_NATS_SERVER"));
        command.arg("-c").arg(self.folder.join("server.conf")).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("nats-server"));
        nats_client(&format!("nats://gateway:g4teway@127.0.0.1:{}", self.port)).await;
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("nats.log")).expect("a log")
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for ShippedNats {
    fn drop(&mut self) {
        self.stop();
    }
}
