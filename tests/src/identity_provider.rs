//! A certified OpenID Connect provider (npm `oidc-provider`), and somebody who signs in there with a browser.

use std::{collections::HashMap, net::SocketAddr, path::PathBuf};

use reqwest::{Client, Method, header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::{certificates, gateway::Setup, peers::Peer};

/// The host of the provider.
pub const HOST: &str = "login.provider.example";
/// What its tokens are for.
pub const AUDIENCE: &str = "https://billing.provider.example";
/// The claim of its tokens that has roles.
pub const ROLE_CLAIM: &str = "realm_access.roles";
/// The public client of people: authorization code with PKCE, on any port of the loopback interface.
pub const PUBLIC: &str = "billwire-cli";

/// The public client of the page of the API.
pub const PUBLIC_PAGE: &str = "billwire-docs";

/// A running provider.
pub struct IdentityProvider {
    peer: Peer,
    pub address: SocketAddr,
    authority: PathBuf,
    client: Client,
}

fn key(id: &str, algorithm: &str) -> Value {
    json!({ "kid": id, "alg": algorithm })
}

impl IdentityProvider {
    /// Starts one with a key, whose tokens are valid for `seconds`. Its client `batch`, and people who sign in, have the role `desk`.
    pub fn start(setup: &Setup, id: &str, algorithm: &str, seconds: u32) -> Self {
        let files = certificates::write(&setup.folder.0.join("provider"), HOST, false);
        let read = |path: &PathBuf| std::fs::read_to_string(path).expect("a file");
        let batch = |id: &str, roles: &[&str]| {
            json!({
                "client_id": id, "client_secret": "secret-of-this-test", "grant_types": ["client_credentials"], "redirect_uris": [],
                "response_types": [], "roles": roles,
            })
        };
        let public = json!({
            "client_id": PUBLIC, "application_type": "native", "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"], "redirect_uris": ["http://127.0.0.1/callback"], "roles": ["desk"],
        });
        let origin = format!("http://{}", setup.address);
        let page = json!({
            "client_id": PUBLIC_PAGE, "application_type": "native", "token_endpoint_auth_method": "none",
            "redirect_uris": [format!("{origin}/docs/oauth2-redirect.html")], "roles": ["desk"],
        });
        let config = json!({
            "issuer": Self::url(), "audience": AUDIENCE, "certificate": read(&files.certificate), "key": read(&files.key),
            "keys": [key(id, algorithm)], "clients": [batch("batch", &["desk"]), batch("nobody", &[]), public, page], "ttl": seconds,
            "allowedOrigin": origin,
        });
        let peer = Peer::start("oidc_provider.cjs", &[&config.to_string()]);
        let port = peer.hear()["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let root = reqwest::Certificate::from_pem(read(&files.authority).as_bytes()).expect("a certificate");
        let client = Client::builder().no_proxy().add_root_certificate(root).resolve(HOST, address);
        let client = client.redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self { peer, address, authority: files.authority, client }
    }

    pub fn url() -> String {
        format!("https://{HOST}")
    }

    /// Lets a gateway reach it.
    pub fn known_to(&self, setup: &mut Setup) {
        setup.set("BILLWIRE_WEBHOOK_CONNECT_TO", format!("{HOST}={}", self.address));
        setup.set("BILLWIRE_WEBHOOK_CA_FILE", self.authority.display().to_string());
    }

    /// The file with the authority that its certificate is from.
    pub fn authority(&self) -> &PathBuf {
        &self.authority
    }

    /// The request for it at the gateway: `desk` gives `role`.
    pub fn request(name: &str, role: &str) -> Value {
        json!({
            "name": name, "issuer": Self::url(), "audience": AUDIENCE, "roleClaim": ROLE_CLAIM, "nameClaim": "name",
            "roleMappings": [{ "value": "desk", "roles": [role] }],
        })
    }

    fn ask(&mut self, command: &Value) -> Value {
        self.peer.say(command);
        self.peer.hear()
    }

    /// Publishes these keys, and signs with the first. An id that was there keeps its key.
    pub fn rotate(&mut self, keys: &[(&str, &str)]) {
        let keys: Vec<Value> = keys.iter().map(|(id, algorithm)| key(id, algorithm)).collect();
        self.ask(&json!({ "keys": keys }));
    }

    /// Closes every connection from now on, or answers again.
    pub fn away(&mut self, away: bool) {
        self.ask(&json!({ "away": away }));
    }

    /// How often its keys were asked for.
    pub fn asked(&mut self) -> u64 {
        self.ask(&json!({ "count": true }))["counts"]["/jwks"].as_u64().unwrap_or_default()
    }

    /// A token by client credentials.
    pub async fn token(&self, client: &str) -> String {
        let form = format!("grant_type=client_credentials&scope=billwire&client_id={client}&client_secret=secret-of-this-test");
        let request = self.client.request(Method::POST, format!("{}/token", Self::url())).body(form);
        let answer = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Opens the URL as a browser does, signs in as whom `login_hint` names, and gives the address that the provider sends the browser to.
    pub async fn sign_in(&self, url: &str) -> String {
        let (mut next, mut cookies) = (url.to_owned(), HashMap::<String, String>::new());
        for _ in 0..10 {
            let jar: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = self.client.get(&next).header(header::COOKIE, jar.join("; ")).send().await.expect("an answer");
            for cookie in answer.headers().get_all(header::SET_COOKIE) {
                let pair = cookie.to_str().expect("text").split(';').next().and_then(|pair| pair.split_once('='));
                let (name, value) = pair.expect("a cookie");
                cookies.insert(name.to_owned(), value.to_owned());
            }
            let status = answer.status();
            let location = answer.headers().get(header::LOCATION).map(|location| location.to_str().expect("text").to_owned());
            let Some(location) = location else { panic!("{status}: {}", answer.text().await.unwrap_or_default()) };
            if location.starts_with("http://") {
                return location;
            }
            next = if location.starts_with('/') { format!("{}{location}", Self::url()) } else { location };
        }
        panic!("the provider redirects on and on");
    }

    /// A proxy on this machine that leads to the provider, as a company's own leads to the internet (RFC 9110 section 9.3.6).
    pub async fn proxy(&self) -> String {
        let (listener, to) = (TcpListener::bind("127.0.0.1:0").await.expect("a port"), self.address);
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    assert!(head.starts_with(format!("CONNECT {HOST}:443 ").as_bytes()), "{}", String::from_utf8_lossy(&head));
                    let mut provider = TcpStream::connect(to).await.expect("a connection");
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("written");
                    let _ = copy_bidirectional(&mut stream, &mut provider).await;
                });
            }
        });
        url
    }
}
