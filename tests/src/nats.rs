//! A nats-server that a test starts and stops.

use std::process::{Child, Command, Stdio};

use crate::{gateway::Setup, required, reserved_port};

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
