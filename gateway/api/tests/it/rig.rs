//! Test setup: a service with its own store, and calls to it.

use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use billwire_api::{Options, service};
use billwire_app::{
    App, BillRunCursors, Caller, NewApiKey, Renderer, Seen, StreamAccess, StreamConsumers, StreamPlace, StreamProgress, WantedConsumer,
    domain::access::grant::Grant,
};
use billwire_schemas::{
    clock::{Clock, ShiftedClock, SystemClock},
    ids::{TenantId, fresh},
    template::{RenderError, Rendered, Rendering},
};
use billwire_store::{Store, secrets::Sealer};
use poem::{
    Body, Response,
    endpoint::BoxEndpoint,
    http::{HeaderMap, Method},
    test::TestClient,
};
use serde_json::{Value, json};

use crate::{conform, issuer::Issuers};

/// Where subscribers of a rig connect, and how many stream subscriptions a tenant may have.
pub const STREAM_URL: &str = "nats://nats.example.com:4222";
pub const STREAM_SUBSCRIPTIONS: usize = 3;

/// Renders in this process: these tests use no template that exceeds a process limit.
struct InProcess;

#[async_trait::async_trait]
impl Renderer for InProcess {
    async fn render(&self, _: &TenantId, rendering: Rendering) -> Result<Result<Rendered, RenderError>, String> {
        Ok(rendering.run(|_| ()))
    }
}

/// Stands for the stream. It notes which consumers it was asked for, and reports each as one whose events wait.
pub struct Consumers {
    store: Store,
    pub away: AtomicBool,
    pub provided: Mutex<Vec<WantedConsumer>>,
}

#[async_trait::async_trait]
impl StreamConsumers for Consumers {
    async fn end(&self) -> Result<StreamPlace, String> {
        if self.away.load(Ordering::Relaxed) { Err("away".to_owned()) } else { Ok(StreamPlace { epoch: "e".to_owned(), sequence: 7 }) }
    }

    async fn provide(&self, wanted: &WantedConsumer) -> Result<(), String> {
        let place = wanted.progress.settled.clone().unwrap_or(StreamPlace { epoch: "e".to_owned(), sequence: 0 });
        let seen = Seen { pending: 12, outstanding: 3, acknowledged_at: Some(SystemClock.now()), at: SystemClock.now() };
        let now = StreamProgress { settled: Some(place), seen: Some(seen), ..wanted.progress.clone() };
        self.store.save_stream_progress(&now, &wanted.progress).await.map_err(|error| error.to_string())?;
        self.provided.lock().expect("whole").push(wanted.clone());
        Ok(())
    }
}

/// A parsed response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// Checks that this is a complete problem with this status and code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["type"], format!("urn:billwire:problem:{code}"));
        assert_eq!(body["status"], status);
        assert!(body["title"].is_string() && body["detail"].is_string(), "{body}");
        assert_eq!(body["requestId"], self.header("x-request-id"));
        body
    }

    /// Pointers (or parameters) and codes of all violations, sorted.
    #[track_caller]
    pub fn violations(self, code: &str) -> Vec<(String, String)> {
        let status = self.status;
        let body = self.refused(status, code);
        let errors = body["errors"].as_array().expect("errors");
        let place = |e: &Value| e["pointer"].as_str().or(e["parameter"].as_str()).expect("a place").to_owned();
        let mut found: Vec<_> = errors.iter().map(|e| (place(e), e["code"].as_str().expect("a code").to_owned())).collect();
        found.sort();
        found
    }
}

pub struct Rig {
    client: TestClient<BoxEndpoint<'static, Response>>,
    pub app: App,
    pub store: Store,
    pub consumers: Arc<Consumers>,
    pub key: String,
    /// The issuers that it knows of.
    pub issuers: Arc<Issuers>,
    /// Position of the last event checked against the catalogue.
    checked: AtomicI64,
    url: String,
    master: String,
    folder: PathBuf,
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Rig {
    pub async fn new() -> Self {
        Self::with(Self::options(), true).await
    }

    /// The default limits, but for the number of requests: a test is faster than a caller may be.
    pub fn options() -> Options {
        Options { requests_per_key: 0, requests_per_tenant: 0, ..Options::default() }
    }

    pub async fn with(options: Options, test_clock_allowed: bool) -> Self {
        Self::over(None, options, test_clock_allowed).await
    }

    /// A rig per available database: SQLite, and PostgreSQL if `BILLWIRE_TEST_POSTGRES` names a cluster.
    pub async fn everywhere() -> Vec<Self> {
        Self::everywhere_with(Self::options()).await
    }

    /// The same with these limits.
    pub async fn everywhere_with(options: Options) -> Vec<Self> {
        let mut rigs = vec![Self::with(options.clone(), true).await];
        if let Some(server) = std::env::var_os("BILLWIRE_TEST_POSTGRES") {
            let server = server.into_string().expect("a URL");
            let name = format!("api_{}", fresh().simple());
            let created = Command::new("psql").args([&server, "-qc", &format!("CREATE DATABASE {name}")]).output().expect("psql");
            assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
            let (base, _) = server.rsplit_once('/').expect("a database name");
            rigs.push(Self::over(Some(format!("{base}/{name}")), options, true).await);
        }
        rigs
    }

    async fn over(url: Option<String>, options: Options, test_clock_allowed: bool) -> Self {
        let folder = std::env::temp_dir().join(format!("billwire-api-{}", fresh()));
        let master = Sealer::fresh_master_key().expect("a key");
        let url = url.unwrap_or_else(|| format!("sqlite://{}", folder.join("billwire.db").display()));
        Self::on(url, master, folder, options, test_clock_allowed, Arc::default()).await
    }

    /// A second process on the same database.
    pub async fn beside(&self) -> Self {
        let folder = std::env::temp_dir().join(format!("billwire-api-{}", fresh()));
        let mut rig = Self::on(self.url.clone(), self.master.clone(), folder, Self::options(), true, self.issuers.clone()).await;
        rig.key.clone_from(&self.key);
        rig
    }

    async fn on(url: String, master: String, folder: PathBuf, options: Options, test_clock_allowed: bool, issuers: Arc<Issuers>) -> Self {
        let sealer = Sealer::new([master.as_str()]).expect("a sealer");
        let store = Store::open(billwire_store::Options::new(url.clone()), sealer).await.expect("a store");
        let app = App::new(store.clone(), Arc::new(ShiftedClock::default()), test_clock_allowed).with_renderer(Arc::new(InProcess));
        let consumers = Arc::new(Consumers { store: store.clone(), away: AtomicBool::new(false), provided: Mutex::default() });
        let stream = StreamAccess { url: STREAM_URL.to_owned(), per_tenant: STREAM_SUBSCRIPTIONS, consumers: consumers.clone() };
        let app = app.with_issuer_client(issuers.clone()).with_stream_access(stream);
        let client = TestClient::new(service(app.clone(), options));
        let mut rig = Self { client, app, store, consumers, key: String::new(), issuers, checked: AtomicI64::new(0), url, master, folder };
        rig.key = rig.key_of("default", &["*"]).await;
        rig
    }

    /// The database's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Creates a key of a tenant with these scopes.
    pub async fn key_of(&self, tenant: &str, scopes: &[&str]) -> String {
        let tenant: TenantId = tenant.parse().expect("a tenant");
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let granter = Caller::part(tenant, "rig", Grant::everything());
        let new = |name| NewApiKey { name, scopes, roles: Vec::new(), expires_at: None, allowed_networks: Vec::new() };
        let further = self.app.has_api_keys().await.expect("keys");
        let named = if further { format!("crm {}", fresh()) } else { "crm".to_owned() };
        self.app.issue_api_key(&granter, new(named)).await.expect("a key").text
    }

    /// Executes SQL on the SQLite database, for states that no operation produces.
    pub fn damage(&self, sql: &str) {
        let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()";
        let done = Command::new("python3").args(["-c", script]).arg(self.folder.join("billwire.db")).arg(sql).output().expect("python3");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Posts one item to a bulk operation: its result. A call of one refused item is refused itself.
    pub async fn one_item(&self, path: &str, item: Value) -> Value {
        let answer = self.post(path, serde_json::json!({ "items": [item] })).await;
        if answer.status < 300 {
            return answer.json()["items"][0].clone();
        }
        let errors = answer.refused(422, "nothing_accepted")["errors"].clone();
        let problem = serde_json::json!({ "code": errors[0]["code"], "detail": errors[0]["message"], "errors": errors });
        serde_json::json!({ "status": "refused", "problem": problem })
    }

    /// Calls with exactly these headers.
    pub async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let verb: Method = method.parse().expect("a method");
        let mut request = self.client.request(verb, path).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.0;
        let (parts, body) = response.into_parts();
        let bytes = body.into_vec().await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, text };
        assert!(!answer.header("x-request-id").is_empty(), "every answer has a request id");
        conform::check(method, path, &answer);
        if method != "GET" && answer.status < 300 {
            self.check_events().await;
        }
        answer
    }

    /// Checks the events recorded since the last check against the catalogue.
    async fn check_events(&self) {
        let events = self.store.unpublished(1_000_000).await.expect("events");
        let from = self.checked.load(Ordering::Relaxed);
        for event in events.iter().filter(|event| event.position > from) {
            conform::check_event(&event.kind, &event.body);
            self.checked.fetch_max(event.position, Ordering::Relaxed);
        }
    }

    /// Calls with the admin key.
    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {}", self.key);
        let mut all = vec![("authorization", bearer.as_str())];
        if body.is_some() {
            all.push(("content-type", "application/json"));
        }
        all.extend(headers);
        self.raw(method, path, &all, body.map(|body| body.to_string().into_bytes()).unwrap_or_default()).await
    }

    /// A call with another key; a GET has no body.
    pub async fn by(&self, key: &str, method: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.raw(method, path, &headers, if method == "GET" { String::new() } else { body.to_string() }).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call("POST", path, &[], Some(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call("PATCH", path, &[], Some(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call("PUT", path, &[], Some(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], None).await
    }

    /// Creates an object and returns its id.
    pub async fn create(&self, path: &str, body: Value) -> String {
        let made = self.post(path, body).await.expect(201);
        made["entities"][0]["id"].as_str().expect("an id").to_owned()
    }

    /// Sets business time and performs everything due.
    pub async fn at(&self, now: &str) {
        self.post("/v1/test-clock", json!({ "now": now })).await.expect(200);
        for _ in 0..100 {
            if self.app.perform_due().await.expect("performed") == 0 {
                return;
            }
        }
        panic!("what is due stays due");
    }

    /// Advances bill runs until none is in progress.
    pub async fn finish_bill_runs(&self) {
        let mut cursors = BillRunCursors::default();
        while self.app.advance_bill_runs(&mut cursors).await.expect("an advance") > 0 {}
    }

    /// Creates a monthly cycle on a day.
    pub async fn cycle(&self, day: u32) -> String {
        self.create("/v1/bill-cycles", json!({ "name": "c", "period": "month", "billingDay": day })).await
    }

    /// Creates an active account in a cycle.
    pub async fn account(&self, cycle: &str) -> String {
        self.create("/v1/accounts", json!({ "name": "Acme", "currency": "EUR", "billCycle": cycle })).await
    }

    pub async fn queue(&self, name: &str, types: &[&str]) -> String {
        self.create("/v1/queues", json!({ "name": name, "mode": "in_order", "eventTypes": types })).await
    }

    pub async fn endpoint(&self, name: &str) -> String {
        self.create("/v1/webhook-endpoints", json!({ "name": name, "url": "https://crm.example.com/hook" })).await
    }
}
