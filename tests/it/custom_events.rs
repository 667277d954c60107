//! Custom events, end to end, and data reserved for e-mails.

use billwire_tests::{
    eventually,
    gateway::{BOTH, Setup},
    peers::{self, Peer},
    receiver::Receiver,
    story::SECRET,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_submitted_event_reaches_webhook_mailbox_and_warehouse_and_only_the_mail_names_the_person() {
    for database in BOTH {
        let mut setup = Setup::new("custom-events", database);
        let receiver = Receiver::start().await;
        receiver.known_to(&mut setup);
        let mailbox = Peer::start("smtp_peer.py", &[]);
        let port = mailbox.hear()["port"].as_u64().expect("a port");
        let gateway = setup.start().await;
        let api = setup.api();

        let schema = json!({ "type": "object", "required": ["iccid"], "additionalProperties": false,
                             "properties": { "iccid": { "type": "string" } } });
        let kind = json!({ "name": "sim_swapped", "title": "SIM Swapped", "orderingKey": "account", "schema": schema });
        api.post("/v1/event-types", kind).await.expect(201);
        let kinds = json!(["custom.sim_swapped"]);
        let endpoint = api.create("/v1/webhook-endpoints", json!({ "name": "e", "url": receiver.url(), "secret": SECRET })).await;
        let queue = api.create("/v1/queues", json!({ "name": "q", "mode": "in_order", "eventTypes": kinds })).await;
        let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
        api.create("/v1/subscriptions", json!({ "name": "w", "queueId": queue, "action": action })).await;
        let smtp = json!({ "name": "mail", "server": "127.0.0.1", "port": port, "security": "none",
                           "fromName": "Billing", "fromAddress": "billing@example.com" });
        let smtp = api.create("/v1/smtp-accounts", smtp).await;
        let template = json!({ "name": "t", "eventTypes": kinds, "subject": "{{ event.name }}",
                               "text": "Dear {{ contact.name }}, {{ account.name }} has got SIM {{ data.iccid }}" });
        let template = api.create("/v1/notification-templates", template).await;
        let action = json!({ "type": "email", "smtpAccountId": smtp, "notificationTemplateId": template, "to": ["finance@example.com"] });
        api.create("/v1/subscriptions", json!({ "name": "m", "queueId": queue, "action": action })).await;

        let cycle = api.bill_cycle(1).await;
        let account = api.account(&cycle).await;
        let contact = json!({ "account": account, "role": "billing", "name": "Ada Example", "email": "ada@example.com" });
        let contact = api.create("/v1/contacts", contact).await;
        let path = format!("/v1/accounts/{account}");
        api.send(reqwest::Method::PATCH, &path, Some(&json!({ "billingContact": contact })), &[]).await.expect(200);

        let item = |iccid: &str| json!({ "type": "custom.sim_swapped", "account": account, "data": { "iccid": iccid } });
        let answer = api.post("/v1/events", json!({ "items": [item("1"), { "type": "custom.sim_swapped", "data": {} }, item("2")] })).await;
        let answer = answer.expect(202);
        assert_eq!(answer["items"][1]["status"], "refused");

        eventually("both webhooks", async || (receiver.count() >= 2).then_some(())).await;
        let calls: Vec<_> = receiver.calls().iter().map(billwire_tests::receiver::Call::json).collect();
        let told: Vec<_> = calls.iter().map(|call| call["data"]["parameters"]["data.iccid"].clone()).collect();
        assert_eq!(told, [json!("1"), json!("2")], "in order, each once");
        for call in &calls {
            assert_eq!((&call["type"], &call["partitionkey"]), (&json!("custom.sim_swapped"), &json!(account)));
            assert!(!call.to_string().contains("Ada Example") && !call.to_string().contains("contact."), "{call}");
        }
        let mail = mailbox.hear();
        assert_eq!(mail["subject"], "SIM Swapped");
        assert!(mail["text"].as_str().expect("text").contains("Dear Ada Example, Acme Telecom has got SIM 1"), "{mail}");

        let folder = setup.data_dir().join("warehouse");
        eventually("the warehouse", async || {
            let loaded = folder.join("events").exists().then(|| peers::warehouse(&folder))?;
            let held = loaded["ids"].as_array()?;
            calls.iter().all(|call| held.contains(&call["id"])).then_some(())
        })
        .await;
        assert!(gateway.stop().await.success());
    }
}
