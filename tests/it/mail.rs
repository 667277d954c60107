//! E-mail through a real SMTP server that requires TLS and a login.

use std::path::Path;

use billwire_tests::{
    api::Api,
    certificates::{self, Files},
    eventually,
    gateway::{BOTH, Database, Setup},
    peers::Peer,
    receiver::{Answer, Receiver},
};
use serde_json::{Value, json};

/// A mail server that requires TLS and knows one user.
fn mailbox(files: &Files, tls: &str) -> (Peer, u64) {
    let path = |path: &Path| path.to_str().expect("a path").to_owned();
    let (certificate, key) = (path(&files.certificate), path(&files.key));
    let arguments = ["--tls", tls, "--cert", &certificate, "--key", &key, "--user", "billing", "--password", "right", "--log-refusals"];
    let peer = Peer::start("smtp_peer.py", &arguments);
    let port = peer.hear()["port"].as_u64().expect("a port");
    (peer, port)
}

fn account(name: &str, port: u64, security: &str, password: &str) -> Value {
    json!({ "name": name, "server": "127.0.0.1", "port": port, "security": security, "username": "billing", "password": password,
            "fromName": "Billing", "fromAddress": format!("{name}@acme.example") })
}

async fn verified(api: &Api, account: &str) -> Value {
    api.post(&format!("/v1/smtp-accounts/{account}/verify"), json!({})).await.expect(200)
}

/// Creates a subscription that e-mails account status changes to these recipients with the predefined template; returns its id.
async fn invoices_to(api: &Api, name: &str, account: Option<&str>, to: Value) -> String {
    let all = api.get("/v1/notification-templates/predefined").await.expect(200);
    let template = all["items"].as_array().expect("items").iter().find(|one| one["name"] == "account.status_changed").expect("one");
    let queue = json!({ "name": name, "mode": "in_order", "eventTypes": ["account.status_changed"] });
    let queue = api.create("/v1/queues", queue).await;
    let mut action = json!({ "type": "email", "notificationTemplateId": template["id"], "to": to });
    if let Some(account) = account {
        action["smtpAccountId"] = account.into();
    }
    api.create("/v1/subscriptions", json!({ "name": name, "queueId": queue, "action": action })).await
}

async fn deliveries(api: &Api, subscription: &str) -> Vec<Value> {
    let found = api.get(&format!("/v1/deliveries?subscriptionId={subscription}")).await.expect(200);
    found["items"].as_array().expect("items").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_verified_and_says_precisely_what_is_wrong() {
    let mut setup = Setup::new("mail-verify", Database::Sqlite);
    let good = certificates::write(&setup.data_dir(), "127.0.0.1", false);
    let other = certificates::write(&setup.data_dir(), "mail.example.com", false);
    let old = certificates::write(&setup.data_dir(), "127.0.0.1", true);
    let stranger_folder = setup.data_dir().join("stranger");
    let stranger = certificates::write(&stranger_folder, "127.0.0.1", false);
    let trusted: String = [&good, &other, &old].iter().map(|files| std::fs::read_to_string(&files.authority).expect("a file")).collect();
    let roots = setup.data_dir().join("roots.pem");
    std::fs::write(&roots, trusted).expect("a file");
    setup.set("BILLWIRE_SMTP_CA_FILE", roots.to_str().expect("a path"));
    let _gateway = setup.start().await;
    let api = setup.api();

    let (starttls, port) = mailbox(&good, "starttls");
    let (implicit, implicit_port) = mailbox(&good, "implicit");
    let works = api.create("/v1/smtp-accounts", account("works", port, "starttls", "right")).await;
    let also = api.create("/v1/smtp-accounts", account("also", implicit_port, "tls", "right")).await;
    for (id, peer) in [(&works, &starttls), (&also, &implicit)] {
        let verdict = verified(&api, id).await;
        assert_eq!((&verdict["works"], &verdict["stage"]), (&json!(true), &json!("sender")), "{verdict}");
        let sent = api.post(&format!("/v1/smtp-accounts/{id}/test"), json!({ "to": "ops@example.com" })).await.expect(200);
        assert_eq!(sent["works"], true, "{sent}");
        let mail = peer.hear();
        assert!(mail["subject"].as_str().is_some_and(|subject| subject.starts_with("[TEST]")), "{mail}");
        assert_eq!((&mail["tls"], &mail["user"]), (&json!(true), &json!("billing")));
    }
    let nobody = api.post(&format!("/v1/smtp-accounts/{works}/test"), json!({ "to": "bounce@example.com" })).await.expect(200);
    assert_eq!((&nobody["works"], &nobody["status"]), (&json!(false), &json!(550)), "{nobody}");

    let (_other, other_port) = mailbox(&other, "starttls");
    let (_old, old_port) = mailbox(&old, "implicit");
    let (_stranger, stranger_port) = mailbox(&stranger, "starttls");
    let plain = Peer::start("smtp_peer.py", &[]);
    let plain_port = plain.hear()["port"].as_u64().expect("a port");
    for (name, port, security, password, stage, words) in [
        ("password", port, "starttls", "wrong", "login", "535"),
        ("name", other_port, "starttls", "right", "tls", "another name"),
        ("expired", old_port, "tls", "right", "tls", "expired"),
        ("untrusted", stranger_port, "starttls", "right", "tls", "not trusted"),
        ("stripped", plain_port, "starttls", "right", "tls", "does not offer STARTTLS"),
        ("clear", plain_port, "tls", "right", "tls", "does not speak TLS"),
        ("nobody", 9, "starttls", "right", "connect", "no connection"),
    ] {
        let id = api.create("/v1/smtp-accounts", account(name, port, security, password)).await;
        let verdict = verified(&api, &id).await;
        assert_eq!((&verdict["works"], &verdict["stage"]), (&json!(false), &json!(stage)), "{name}: {verdict}");
        assert!(verdict["detail"].as_str().is_some_and(|detail| detail.contains(words)), "{name}: {verdict}");
    }
    let nowhere = json!({ "name": "nowhere", "server": "mail.nowhere.invalid", "fromName": "B", "fromAddress": "b@acme.example" });
    let nowhere = api.create("/v1/smtp-accounts", nowhere).await;
    assert_eq!(verified(&api, &nowhere).await["stage"], "name");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_account_reaches_the_private_network_unless_the_operator_allows_it() {
    let mut setup = Setup::new("mail-public", Database::Sqlite);
    setup.set("BILLWIRE_SMTP_PUBLIC_ONLY", "true");
    let peer = Peer::start("smtp_peer.py", &[]);
    let port = peer.hear()["port"].as_u64().expect("a port");
    let _gateway = setup.start().await;
    let api = setup.api();
    let mut told = std::collections::BTreeSet::new();
    for server in ["127.0.0.1", "0x7f.1", "2130706433", "127.1", "localhost", "::1", "mail.nowhere.invalid"] {
        let account =
            json!({ "name": server, "server": server, "port": port, "security": "none", "fromName": "B", "fromAddress": "b@acme.example" });
        let id = api.create("/v1/smtp-accounts", account).await;
        let verdict = verified(&api, &id).await;
        assert_eq!((&verdict["works"], &verdict["stage"]), (&json!(false), &json!("name")), "{server}: {verdict}");
        told.insert(verdict["detail"].as_str().expect("a detail").to_owned());
    }
    assert_eq!(told.len(), 1, "nobody can tell what is not there from what is not allowed: {told:?}");
    let log = setup.log_tail();
    assert!(log.contains("SMTP server not used") && log.contains("127.0.0.1"), "the operator is told: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_recipient_is_kept_apart_and_an_address_that_does_not_exist_is_not_written_to_again() {
    for database in BOTH {
        let mut setup = Setup::new("mail-recipients", database);
        let files = certificates::write(&setup.data_dir(), "127.0.0.1", false);
        setup
            .set("BILLWIRE_SMTP_CA_FILE", files.authority.to_str().expect("a path"))
            .set("BILLWIRE_WEBHOOK_RETRY_PLAN", "0s,200ms,200ms,200ms");
        let (peer, port) = mailbox(&files, "starttls");
        let _gateway = setup.start().await;
        let api = setup.api();
        api.create("/v1/smtp-accounts", account("billing", port, "starttls", "right")).await;
        let ada = json!({ "name": "Ada", "email": "ada@example.com", "language": "de", "timeZone": "Europe/Zurich" });
        let ada = api.create("/v1/system-users", ada).await;
        let to = json!(["finance@example.com", "bounce@example.com", "defer-once@example.com", ada]);
        let subscription = invoices_to(&api, "mail", None, to).await;
        let account = api.account(&api.bill_cycle(1).await).await;
        let status = |status: &str| json!({ "status": status });
        api.post(&format!("/v1/accounts/{account}/status"), status("suspended")).await.expect(200);

        let dead = eventually("a dead letter", async || {
            let found = deliveries(&api, &subscription).await;
            (found.first()?["state"] == "dead").then(|| found[0].clone())
        })
        .await;
        let path = format!("/v1/deliveries/{}", dead["id"].as_str().expect("an id"));
        let shown = api.get(&path).await.expect(200);
        let states: Vec<(&str, &str)> = shown["recipients"]
            .as_array()
            .expect("recipients")
            .iter()
            .map(|one| (one["address"].as_str().expect("an address"), one["state"].as_str().expect("a state")))
            .collect();
        assert_eq!(states[0], ("ada@example.com", "sent"));
        assert!(matches!(states[1], ("bounce@example.com", "refused" | "suppressed")), "{states:?}");
        assert_eq!(states[2..], [("defer-once@example.com", "sent"), ("finance@example.com", "sent")]);

        let mut heard = Vec::new();
        eventually("the mails", async || {
            heard.extend(peer.heard());
            (heard.iter().filter(|line| line.get("raw").is_some()).count() >= 3).then_some(())
        })
        .await;
        let mails: Vec<&Value> = heard.iter().filter(|line| line.get("raw").is_some()).collect();
        let mut reached: Vec<&str> = mails.iter().flat_map(|mail| mail["to"].as_array().expect("to")).filter_map(Value::as_str).collect();
        reached.sort_unstable();
        assert_eq!(reached, ["ada@example.com", "defer-once@example.com", "finance@example.com"], "each once");
        assert!(mails.iter().all(|mail| mail["tls"] == true), "nothing in clear");

        // The address is on the list with the server's response; the next e-mail is not sent to it.
        let listed = api.get("/v1/suppressed-addresses").await.expect(200);
        assert_eq!((&listed["items"][0]["address"], &listed["items"][0]["status"]), (&json!("bounce@example.com"), &json!(550)));
        api.post(&format!("/v1/accounts/{account}/status"), status("active")).await.expect(200);
        eventually("the next mail", async || {
            let found = deliveries(&api, &subscription).await;
            (found.len() == 2 && found[0]["state"] == "succeeded").then_some(())
        })
        .await;
        assert!(peer.heard().iter().all(|line| line["refused"] != "bounce@example.com"));

        // After a redrive, no recipient gets the message twice.
        api.post("/v1/dead-letters/redrive", json!({ "subscriptionId": subscription })).await.expect(202);
        eventually("the redriven one", async || (api.get(&path).await.expect(200)["state"] == "succeeded").then_some(())).await;
        assert!(peer.heard().iter().all(|line| line.get("raw").is_none()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_lets_what_waits_through() {
    let mut setup = Setup::new("mail-password", Database::Sqlite);
    let files = certificates::write(&setup.data_dir(), "127.0.0.1", false);
    setup
        .set("BILLWIRE_SMTP_CA_FILE", files.authority.to_str().expect("a path"))
        .set("BILLWIRE_WEBHOOK_RETRY_PLAN", "0s,300ms,300ms,300ms,300ms,300ms,300ms,300ms,300ms");
    let (peer, port) = mailbox(&files, "implicit");
    let _gateway = setup.start().await;
    let api = setup.api();
    let id = api.create("/v1/smtp-accounts", account("billing", port, "tls", "wrong")).await;
    let subscription = invoices_to(&api, "mail", Some(&id), json!(["finance@example.com"])).await;
    let account = api.account(&api.bill_cycle(1).await).await;
    api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": "suspended" })).await.expect(200);
    eventually("a refused login", async || {
        let found = deliveries(&api, &subscription).await;
        found.first()?["lastAttempt"]["detail"].as_str()?.contains("535").then_some(())
    })
    .await;
    assert!(peer.heard().is_empty());
    api.patch(&format!("/v1/smtp-accounts/{id}"), json!({ "password": "right" })).await.expect(200);
    let mail = peer.hear();
    assert_eq!((&mail["user"], &mail["to"]), (&json!("billing"), &json!(["finance@example.com"])));
    let id = deliveries(&api, &subscription).await[0]["eventId"].as_str().expect("an id").to_owned();
    assert_eq!(mail["message_id"], format!("<{id}.{subscription}@acme.example>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_notification_goes_by_its_own_account_and_a_dead_one_holds_up_nobody() {
    let setup = Setup::new("mail-two", Database::Sqlite);
    let (one, two) = (Peer::start("smtp_peer.py", &[]), Peer::start("smtp_peer.py", &[]));
    let port = |peer: &Peer| peer.hear()["port"].as_u64().expect("a port");
    let open = |name: &str, port: u64| {
        json!({ "name": name, "server": "127.0.0.1", "port": port, "security": "none", "fromName": name,
                "fromAddress": format!("{name}@acme.example") })
    };
    let _gateway = setup.start().await.leaving("the mails of the dead account wait");
    let api = setup.api();
    for (name, port) in [("one", port(&one)), ("two", port(&two)), ("dead", 9)] {
        let id = api.create("/v1/smtp-accounts", open(name, port)).await;
        invoices_to(&api, name, Some(&id), json!([format!("{name}@example.com")])).await;
    }
    let cycle = api.bill_cycle(1).await;
    for _ in 0..30 {
        let account = api.account(&cycle).await;
        api.post(&format!("/v1/accounts/{account}/status"), json!({ "status": "suspended" })).await.expect(200);
    }
    for (peer, name) in [(&one, "one"), (&two, "two")] {
        for _ in 0..30 {
            let mail = peer.hear();
            assert_eq!((&mail["from"], &mail["to"]), (&json!(format!("{name}@acme.example")), &json!([format!("{name}@example.com")])));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_an_endpoint_is_told_when_it_is_disabled() {
    let mut setup = Setup::new("mail-owner", Database::Sqlite);
    let receiver = Receiver::start().await;
    receiver.known_to(&mut setup);
    receiver.always(Some(Answer::Status(410)));
    let mailbox = Peer::start("smtp_peer.py", &[]);
    let port = mailbox.hear()["port"].as_u64().expect("a port");
    let _gateway = setup.start().await.leaving("the delivery to the disabled endpoint waits");
    let api = setup.api();
    let account = json!({ "name": "ops", "server": "127.0.0.1", "port": port, "security": "none", "fromName": "Ops", "fromAddress": "ops@acme.example" });
    api.create("/v1/smtp-accounts", account).await;
    let endpoint = json!({ "name": "crm", "url": receiver.url(), "ownerEmail": "crm-team@example.com" });
    let endpoint = api.create("/v1/webhook-endpoints", endpoint).await;
    let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": ["account.created"] })).await;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    api.create("/v1/subscriptions", json!({ "name": "s", "queueId": queue, "action": action })).await;
    api.account(&api.bill_cycle(1).await).await;
    let mail = mailbox.hear();
    assert_eq!(mail["to"], json!(["crm-team@example.com"]));
    assert_eq!(mail["subject"], "The webhook endpoint crm was disabled");
    assert!(mail["text"].as_str().is_some_and(|text| text.contains("410 Gone")), "{mail}");
}
