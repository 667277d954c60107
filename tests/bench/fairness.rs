//! What a tenant notices of another one that floods the gateway with calls, due work and deliveries.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{Database, Setup},
    receiver::Receiver,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::{
    accept::setup,
    report::{Report, ms, quantile},
};

/// Events of the quiet tenant a second.
const PER_SECOND: u32 = 20;
const RUN: Duration = Duration::from_secs(20);
/// Connections of the flooding tenant.
const FLOOD: usize = 32;
/// Plans of the flooding tenant that fall due at once.
const PLANS: usize = 2_000;
/// The operator's limit for the flooding tenant, where it has one.
const LIMIT: u32 = 100;

/// A tenant with a queue of its custom events to a webhook.
async fn tenant(operator: &Api, name: &str, receiver: &Receiver, limit: Option<u32>) -> Api {
    let limits = limit.map_or_else(|| json!({}), |limit| json!({ "requestsPerSecond": limit }));
    let made = operator.post("/v1/tenants", json!({ "tenantId": name, "name": name, "limits": limits })).await.expect(201);
    let api = Api::new(&operator.base, made["entities"][0]["after"]["adminKey"].as_str().expect("a key"));
    let register = json!({ "name": "reading", "title": "Reading", "orderingKey": "key", "schema": { "type": "object" } });
    api.post("/v1/event-types", register).await.expect(201);
    let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url(), "path": format!("/{name}") })).await;
    let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["custom.reading"] })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    api.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
    api
}

fn event(n: usize) -> serde_json::Value {
    json!({ "items": [{ "type": "custom.reading", "key": format!("k{}", n % 100), "data": { "n": n } }] })
}

struct Figures {
    accepted: Duration,
    delivered: Duration,
}

/// The p99 of the quiet tenant's calls, and from their replies to their webhooks.
async fn quiet(api: &Api, receiver: &Receiver) -> Figures {
    let replied: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    let until = Instant::now() + RUN;
    let mut sent = Vec::new();
    while Instant::now() < until {
        tick.tick().await;
        let (api, replied, n) = (api.clone(), replied.clone(), sent.len());
        sent.push(tokio::spawn(async move {
            let began = Instant::now();
            let answer = api.post("/v1/events", event(n)).await.expect(202);
            let id = answer["items"][0]["transaction"]["events"][0]["id"].as_str().expect("an event").to_owned();
            replied.lock().unwrap().insert(id, Instant::now());
            began.elapsed()
        }));
    }
    let mut accepted = Vec::new();
    for one in sent {
        accepted.push(one.await.expect("an operation"));
    }
    accepted.sort();
    let replied = replied.lock().unwrap().clone();
    let mut delivered: Vec<Duration> = eventually("the webhooks", async || {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let of = |call: &billwire_tests::receiver::Call| {
            Some(call.at.saturating_duration_since(*replied.get(call.headers.get("webhook-id")?.to_str().ok()?)?))
        };
        let arrived: Vec<Duration> = receiver.calls().iter().filter_map(of).collect();
        (arrived.len() >= replied.len()).then_some(arrived)
    })
    .await;
    delivered.sort();
    Figures { accepted: quantile(&accepted, 0.99), delivered: quantile(&delivered, 0.99) }
}

pub async fn measure(report: &mut Report) {
    for limit in [Some(LIMIT), None] {
        flood(limit, report).await;
    }
}

/// A tenant that floods the gateway it is in.
struct Flood {
    operator: Api,
    tenant: Api,
    /// When its plans fall due.
    due: DateTime<Utc>,
}

impl Flood {
    /// A tenant with plans that fall due, in the gateway of `operator`.
    async fn prepared(operator: Api, receiver: &Receiver, limit: Option<u32>) -> Self {
        let tenant = tenant(&operator, "noisy", receiver, None).await;
        let cycles = [tenant.bill_cycle(1).await, tenant.bill_cycle(15).await];
        let due = Utc::now() + TimeDelta::hours(1);
        for _ in 0..PLANS / 50 {
            futures::future::join_all((0..50).map(async |_| {
                let account = tenant.account(&cycles[0]).await;
                let plan = json!({ "billCycle": cycles[1], "validFrom": due });
                tenant.post(&format!("/v1/accounts/{account}/bill-cycle"), plan).await.expect(200);
            }))
            .await;
        }
        if let Some(limit) = limit {
            operator.patch("/v1/tenants/noisy", json!({ "limits": { "requestsPerSecond": limit } })).await.expect(200);
        }
        Self { operator, tenant, due }
    }

    /// The figures of the quiet tenant meanwhile, and how many calls of this one are accepted a second.
    async fn beside(self, api: &Api, receiver: &Receiver) -> (Figures, u64) {
        let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients: Vec<_> = (0..FLOOD)
            .map(|_| {
                let (tenant, stop, accepted) = (self.tenant.clone(), stop.clone(), accepted.clone());
                tokio::spawn(async move {
                    let mut n = 0;
                    while !stop.load(Ordering::Relaxed) {
                        n += 1;
                        let status = tenant.post("/v1/events", event(n)).await.status;
                        accepted.fetch_add(u64::from(status == 202), Ordering::Relaxed);
                    }
                })
            })
            .collect();
        self.operator.post("/v1/test-clock", json!({ "now": self.due + TimeDelta::minutes(1) })).await.expect(200);
        let figures = quiet(api, receiver).await;
        stop.store(true, Ordering::Relaxed);
        for one in clients {
            one.await.expect("a client");
        }
        (figures, accepted.load(Ordering::Relaxed) / RUN.as_secs())
    }
}

/// Receivers of both tenants, and a gateway that reaches them.
fn gateway(name: &str, receivers: &[Receiver; 2]) -> Setup {
    let mut setup = setup(name, Database::Postgres);
    setup.set("BILLWIRE_TEST_CLOCK", "true");
    Receiver::all_known_to(receivers, &mut setup);
    setup
}

/// The limit is the machine's: the same flood, into a gateway, a database and a nats-server of its own beside the quiet tenant's.
async fn flood(limit: Option<u32>, report: &mut Report) {
    let receivers = [Receiver::named("noisy.example", None).await, Receiver::named("quiet.example", None).await];
    receivers[0].keep_calls(false);
    let (shared, own) = (gateway("bench-fairness", &receivers), gateway("bench-flood", &receivers));
    let running = shared.start().await;
    let api = tenant(&shared.api(), "quiet", &receivers[1], None).await;
    let noisy = Flood::prepared(shared.api(), &receivers[0], limit).await;
    let alone = quiet(&api, &receivers[1]).await;
    let (beside, of_other) = noisy.beside(&api, &receivers[1]).await;
    let other = own.start().await;
    let noisy = Flood::prepared(own.api(), &receivers[0], limit).await;
    let (apart, of_apart) = noisy.beside(&api, &receivers[1]).await;
    drop((running, other));
    let share = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
    let shares = |one: &Figures| format!("{:.2}x, {:.2}x", share(one.accepted, alone.accepted), share(one.delivered, alone.delivered));
    let limited = limit.map_or_else(|| "without a limit".to_owned(), |limit| format!("limited to {limit} requests/s"));
    report.row(
        &format!(
            "{PER_SECOND} events/s of a tenant beside one that floods with {FLOOD} connections, {limited}, and {PLANS} plans that fall due"
        ),
        &format!("p99 accepted {}, commit to webhook {} ({of_other}/s accepted of the other)", ms(beside.accepted), ms(beside.delivered),),
        &format!(
            "{}, {} alone; {}, {} while the other floods a gateway of its own on this machine ({of_apart}/s accepted)",
            ms(alone.accepted),
            ms(alone.delivered),
            ms(apart.accepted),
            ms(apart.delivered),
        ),
        &format!("{} of alone; a gateway of its own: {}", shares(&beside), shares(&apart)),
        "<= 1.5x of alone",
    );
}
