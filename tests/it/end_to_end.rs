//! One operation, end to end: HTTP, SQL, stream, then a signed webhook over TLS, an e-mail and warehouse files.

use std::collections::BTreeSet;

use billwire_tests::{
    eventually,
    gateway::{BOTH, Setup},
    peers::{self, Peer},
    receiver::Receiver,
    story::{SECRET, all_event_types, subscribe},
};
use serde_json::{Value, json};

fn ids(events: &Value) -> impl Iterator<Item = String> {
    events.as_array().expect("events").iter().filter_map(|e| e["id"].as_str().map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_reaches_webhook_mailbox_and_warehouse() {
    for database in BOTH {
        let mut setup = Setup::new("end-to-end", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let mailbox = Peer::start("smtp_peer.py", &[]);
        let port = mailbox.hear()["port"].as_u64().expect("a port");
        let gateway = setup.start().await;
        let api = setup.api();
        subscribe(&api, &receiver, "everything", "in_order").await;
        let smtp = json!({ "name": "mail", "server": "127.0.0.1", "port": port, "security": "none",
                           "fromName": "Billing", "fromAddress": "billing@example.com" });
        let smtp = api.create("/v1/smtp-accounts", smtp).await;
        let template = json!({ "name": "changed", "eventTypes": ["account.bill_cycle_changed"],
            "subject": "{{ event.name }}: {{ account.name }}", "text": "New cycle {{ account.billCycle }}", "html": "<p>{{ account.name }}</p>" });
        let template = api.create("/v1/notification-templates", template).await;
        let queue = json!({ "name": "mail queue", "mode": "out_of_order", "eventTypes": all_event_types() });
        let queue = api.create("/v1/queues", queue).await;
        let action = json!({ "type": "email", "smtpAccountId": smtp, "notificationTemplateId": template, "to": ["finance@example.com"] });
        let mail = json!({ "name": "mail", "queueId": queue, "eventTypes": ["account.bill_cycle_changed"], "action": action });
        api.create("/v1/subscriptions", mail).await;

        let mut owed: Vec<String> = Vec::new();
        let mut cycles = Vec::new();
        for day in [1, 15] {
            let made = api.post("/v1/bill-cycles", json!({ "name": "c", "period": "month", "billingDay": day })).await.expect(201);
            owed.extend(ids(&made["events"]));
            cycles.push(made["entities"][0]["id"].as_str().expect("an id").to_owned());
        }
        let made = json!({ "name": "Acme <Telecom>", "currency": "EUR", "billCycle": cycles[0] });
        let made = api.post("/v1/accounts", made).await.expect(201);
        owed.extend(ids(&made["events"]));
        let account = made["entities"][0]["id"].as_str().expect("an id");
        let path = format!("/v1/accounts/{account}/bill-cycle");
        let changed = api.post(&path, json!({ "billCycle": cycles[1] })).await.expect(200);
        owed.extend(ids(&changed["events"]));

        eventually("all webhooks", async || (receiver.count() >= owed.len()).then_some(())).await;
        let calls = receiver.calls();
        let got: Vec<String> = calls.iter().map(|c| c.json()["id"].as_str().expect("an id").to_owned()).collect();
        assert_eq!(got.iter().collect::<BTreeSet<_>>(), owed.iter().collect(), "each event, once");
        let mut verifier = Peer::start("verify_webhooks.py", &[SECRET]);
        for call in &calls {
            assert_eq!(call.header("webhook-id"), call.json()["id"]);
            let headers: serde_json::Map<String, Value> =
                call.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().expect("text").into())).collect();
            verifier.say(&json!({ "headers": headers, "body": std::str::from_utf8(&call.body).expect("text") }));
            let verdict = verifier.hear();
            assert_eq!(verdict["ok"], true, "{verdict}");
        }
        let of_account = |call: &&billwire_tests::receiver::Call| call.json()["partitionkey"] == account;
        let order: Vec<String> = calls.iter().filter(of_account).map(|c| c.json()["type"].as_str().expect("a type").to_owned()).collect();
        assert_eq!(order, ["account.created", "account.updated", "account.bill_cycle_changed"]);

        let mail = mailbox.hear();
        assert_eq!(mail["subject"], "Account Bill Cycle Changed: Acme <Telecom>");
        assert!(mail["html"].as_str().expect("html").contains("Acme &lt;Telecom&gt;"), "{mail}");
        assert!(mail["text"].as_str().expect("text").contains(&cycles[1]), "{mail}");

        let folder = setup.data_dir().join("warehouse");
        let loaded = eventually("the warehouse", async || {
            let loaded = folder.join("events").exists().then(|| peers::warehouse(&folder))?;
            (loaded["rows"].as_u64()? >= owed.len() as u64).then_some(loaded)
        })
        .await;
        let held: BTreeSet<&str> = loaded["ids"].as_array().expect("ids").iter().filter_map(Value::as_str).collect();
        assert_eq!(held, owed.iter().map(String::as_str).collect());
        assert_eq!((&loaded["rows"], &loaded["gaps"]), (&json!(owed.len()), &json!(0)));
        assert!(gateway.stop().await.success());
    }
}
