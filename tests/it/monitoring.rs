//! What monitors see of a process: `/readyz` with each part, `/metrics`, and a line in the log for each request.

use std::{collections::BTreeSet, net::SocketAddr};

use billwire_tests::{
    api::Api,
    eventually,
    gateway::{BOTH, Database, Setup},
    nats::Nats,
    peers,
    receiver::Receiver,
    reserved_port, root,
};
use serde_json::{Value, json};

/// Makes a setup listen for monitors too.
fn watched(setup: &mut Setup) -> Api {
    let address = SocketAddr::from(([127, 0, 0, 1], reserved_port()));
    setup.set("BILLWIRE_MONITORING_LISTEN", address.to_string());
    Api::new(&format!("http://{address}"), "no-key")
}

/// The value of a metric with these labels.
fn value(metrics: &str, name_and_labels: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name_and_labels)?.strip_prefix(' ')?.parse().ok())
}

async fn metrics(monitor: &Api) -> String {
    let answer = monitor.get("/metrics").await;
    assert_eq!((answer.status, answer.text.lines().last()), (200, Some("# EOF")), "{}", answer.text);
    answer.text
}

/// The parts that `deploy/README.md` lists, each with its metric and what a person does about it.
fn conditions() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("deploy/README.md")).expect("a file");
    let (before, table) = text.split_once("| part | degraded or down when |").expect("the table of parts");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 4 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
        for metric in cells[2].split(", ") {
            assert!(before.contains(metric), "{metric} is in no table of metrics");
        }
        cells[0].trim_matches('`').to_owned()
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_sees_each_part_and_what_was_done_and_the_log_has_a_line_for_each_request() {
    for database in BOTH {
        let mut setup = Setup::new("monitoring", database);
        let monitor = watched(&mut setup);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let gateway = setup.start().await;
        let api = setup.api();
        let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url() })).await;
        let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["bill_cycle.created"] })).await;
        let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
        api.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
        for n in 0..3 {
            api.create("/v1/bill-cycles", json!({ "externalId": format!("c{n}"), "name": "c", "period": "day" })).await;
        }
        api.get("/v1/accounts/nowhere").await.refused(404, "account_not_found");
        eventually("three webhooks", async || (receiver.count() >= 3).then_some(())).await;
        let told = eventually("the metrics", async || {
            let told = metrics(&monitor).await;
            (value(&told, "billwire_attempts_total{outcome=\"delivered\"}") >= Some(3.0)).then_some(told)
        })
        .await;
        let requests = |operation: &str, status: u16| {
            value(&told, &format!("billwire_requests_total{{operation=\"{operation}\",status=\"{status}\"}}"))
        };
        assert_eq!((requests("createBillCycle", 201), requests("getAccount", 404)), (Some(3.0), Some(1.0)), "{told}");
        assert!(value(&told, "billwire_commit_seconds_count") >= Some(6.0), "{told}");
        let read = peers::metrics(&told);
        assert_eq!(read["faults"], json!([]), "{told}");
        for part in conditions().iter().map(String::as_str) {
            let ready = eventually("the part", async || {
                let ready = monitor.get("/readyz").await.expect(200);
                (ready["parts"][part]["status"] == "ok").then_some(ready)
            })
            .await;
            assert_eq!(ready["status"], "ok", "{ready}");
            let listed: BTreeSet<String> = conditions().into_iter().collect();
            let reported: BTreeSet<String> = ready["parts"].as_object().expect("parts").keys().cloned().collect();
            assert!(reported.is_subset(&listed), "not listed: {:?}", reported.difference(&listed));
            assert_eq!(value(&metrics(&monitor).await, &format!("billwire_part_status{{part=\"{part}\"}}")), Some(0.0));
        }
        let log = std::fs::read_to_string(setup.folder.0.join("gateway.log")).expect("a log");
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let line = lines.iter().find(|line| line["target"] == "billwire_access" && line["operation"] == "getAccount").expect("its line");
        assert_eq!((&line["method"], &line["status"], &line["key"]), (&json!("GET"), &json!(404), &json!("admin")), "{line}");
        assert!(line["ms"].is_number() && line["request.id"].is_string(), "{line}");
        assert!(gateway.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_while_it_lasts_and_the_log_has_its_beginning_and_its_end() {
    let mut setup = Setup::new("monitoring-nats", Database::Sqlite);
    let mut nats = Nats::new(&mut setup);
    nats.start(&setup, 1 << 20);
    let monitor = watched(&mut setup);
    let gateway = setup.start().await;
    let part = async |wanted: &str| {
        eventually("the state of NATS", async || {
            let ready = monitor.get("/readyz").await.expect(200);
            (ready["parts"]["nats"]["status"] == wanted).then_some(ready)
        })
        .await
    };
    part("ok").await;
    nats.stop();
    let told = part("degraded").await;
    assert_eq!(told["status"], "degraded", "{told}");
    assert!(told["parts"]["nats"]["detail"].as_str().is_some_and(|detail| detail.contains("published later")), "{told}");
    nats.start(&setup, 1 << 20);
    part("ok").await;
    let log = std::fs::read_to_string(setup.folder.0.join("gateway.log")).expect("a log");
    let of_nats = |text: &str| log.lines().filter(|line| line.contains("\"part\":\"nats\"") && line.contains(text)).count();
    assert_eq!((of_nats("a part needs attention"), of_nats("as it should be again")), (1, 1), "{log}");
    assert!(gateway.stop().await.success());
}
