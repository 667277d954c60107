//! A nats-server that a test starts and stops.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    certificates::{self, Files},
    eventually,
    gateway::Setup,
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

/// Nats-servers with the configuration that `deploy/nats/server.conf` has, so that subscribers can connect.
pub struct ShippedNats {
    folder: PathBuf,
    servers: Vec<Server>,
    tls: Option<Files>,
}

struct Server {
    port: u16,
    child: Option<Child>,
}

impl ShippedNats {
    /// Writes the configuration of one server, makes the callout's keys, and points the gateways of `setup` to it.
    pub fn new(setup: &mut Setup) -> Self {
        Self::write(setup, 1, None)
    }

    /// The same of three servers in a cluster. The gateways are pointed to the first.
    pub fn cluster(setup: &mut Setup) -> Self {
        setup.set("BILLWIRE_NATS_REPLICAS", "3");
        Self::write(setup, 3, None)
    }

    /// One server that puts domain and account into the subjects of acknowledgements, as newer ones will.
    pub fn with_newer_acknowledgements(setup: &mut Setup) -> Self {
        let nats = Self::write(setup, 1, None);
        let file = nats.folder.join("server-0.conf");
        let conf = std::fs::read_to_string(&file).expect("the configuration");
        std::fs::write(file, format!("feature_flags {{ js_ack_fc_v2: true }}\n{conf}")).expect("written");
        nats
    }

    /// One server with TLS, whose certificate clients have to be told to trust.
    pub fn with_tls(setup: &mut Setup) -> Self {
        let files = certificates::write(&setup.folder.0, "localhost", false);
        setup.set("SSL_CERT_FILE", files.authority.display().to_string());
        Self::write(setup, 1, Some(files))
    }

    fn write(setup: &mut Setup, count: usize, tls: Option<Files>) -> Self {
        let folder = setup.folder.0.join("shipped-nats");
        std::fs::create_dir_all(&folder).expect("a folder");
        let seeds = folder.join("callout.seed");
        let made = setup.command(&["stream", "keys", "--file", seeds.to_str().expect("a path")]).output().expect("keys");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let public = String::from_utf8_lossy(&made.stdout).into_owned();
        let passwords = "GATEWAY_PASSWORD: g4teway\nSYSTEM_PASSWORD: 5ystem\nWAREHOUSE_PASSWORD: w4rehouse\n";
        std::fs::write(folder.join("passwords.conf"), format!("{passwords}{public}")).expect("written");
        let shipped = std::fs::read_to_string(root().join("deploy/nats/server.conf")).expect("the configuration");
        let ports: Vec<(u16, u16)> = (0..count).map(|_| (reserved_port(), reserved_port())).collect();
        let routes: Vec<String> = ports.iter().map(|(_, route)| format!("\"nats://127.0.0.1:{route}\"")).collect();
        for (number, (port, route)) in ports.iter().enumerate() {
            let mut conf = shipped.clone();
            for (there, here) in [
                ("server_name: billwire-nats-1", format!("server_name: billwire-nats-{number}")),
                ("listen: 0.0.0.0:4222", format!("listen: 127.0.0.1:{port}")),
                ("http: 127.0.0.1:8222", String::new()),
                ("store_dir: \"/data\"", format!("store_dir: \"{}\"", folder.join(format!("store-{number}")).display())),
                ("sync_interval: always", String::new()),
            ] {
                assert!(conf.contains(there), "{there}");
                conf = conf.replacen(there, &here, 1);
            }
            if count > 1 {
                let routes = routes.join(", ");
                conf += &format!("cluster {{ name: billwire, listen: \"127.0.0.1:{route}\", routes: [{routes}] }}\n");
            }
            if let Some(Files { certificate, key, .. }) = &tls {
                conf += &format!("tls {{ cert_file: \"{}\", key_file: \"{}\" }}\n", certificate.display(), key.display());
            }
            std::fs::write(folder.join(format!("server-{number}.conf")), conf).expect("written");
        }
        let servers: Vec<Server> = ports.iter().map(|(port, _)| Server { port: *port, child: None }).collect();
        let nats = Self { folder, servers, tls };
        setup.set("BILLWIRE_NATS_URL", nats.url_of("gateway:g4teway@", 0));
        setup.set("BILLWIRE_NATS_CALLOUT_URL", nats.url_of("gateway_system:5ystem@", 0));
        setup.set("BILLWIRE_NATS_CALLOUT_SEED_FILE", seeds.display().to_string());
        nats
    }

    fn url_of(&self, login: &str, number: usize) -> String {
        let (scheme, host) = if self.tls.is_some() { ("tls", "localhost") } else { ("nats", "127.0.0.1") };
        format!("{scheme}://{login}{host}:{}", self.servers[number].port)
    }

    /// Where subscribers reach a server.
    pub fn url(&self, number: usize) -> String {
        self.url_of("", number)
    }

    /// The authority that signed the servers' certificate, if they have one.
    pub fn authority(&self) -> Option<&Path> {
        self.tls.as_ref().map(|files| files.authority.as_path())
    }

    /// Starts the servers, and waits until they listen.
    pub async fn start(&mut self) {
        for (number, server) in self.servers.iter_mut().enumerate() {
            let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("nats.log")).expect("a log");
            let mut command = Command::new(required("BILLWIRE_NATS_SERVER"));
            command.arg("-c").arg(self.folder.join(format!("server-{number}.conf"))).stdout(Stdio::null()).stderr(log);
            server.child = Some(command.spawn().expect("nats-server"));
        }
        for server in &self.servers {
            eventually("a nats-server", async || std::net::TcpStream::connect(("127.0.0.1", server.port)).ok()).await;
        }
    }

    /// Kills the servers.
    pub fn stop(&mut self) {
        for mut child in self.servers.iter_mut().filter_map(|server| server.child.take()) {
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
