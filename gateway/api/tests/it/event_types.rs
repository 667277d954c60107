//! The catalogue, custom event types and submitted events.

use billwire_app::PUBLIC_URL;
use billwire_schemas::events::catalogue;
use serde_json::{Value, json};

use crate::rig::Rig;

fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["iccid"],
        "additionalProperties": false,
        "properties": {
            "iccid": { "$ref": "#/$defs/iccid" },
            "attempt": { "type": "integer", "minimum": 1 },
            "places": { "type": "array", "items": { "type": "string" } }
        },
        "$defs": { "iccid": { "type": "string", "pattern": "^[0-9]{19,20}$", "description": "The new SIM", "examples": ["8949010000000000001"] } }
    })
}

impl Rig {
    async fn register(&self, more: Value) -> crate::rig::Answer {
        let mut body = json!({ "name": "sim_swapped", "title": "SIM Swapped", "schema": schema() });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.post("/v1/event-types", body).await
    }

    async fn submit(&self, item: Value) -> Value {
        self.one_item("/v1/events", item).await
    }
}

fn fits(schema: &Value, message: &Value) {
    let validator = jsonschema::options().should_validate_formats(true).build(schema).expect("a schema");
    let faults: Vec<String> = validator.iter_errors(message).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?}\n{message:#}");
}

#[tokio::test]
async fn every_type_is_told_with_an_example_that_fits_its_schema() {
    let rig = Rig::new().await;
    rig.register(json!({ "orderingKey": "account", "description": "A new SIM." })).await.expect(201);
    let listed = rig.get("/v1/event-types").await.expect(200);
    let items = listed["items"].as_array().expect("items");
    assert_eq!(items.len(), catalogue::all().count() + 1);
    for item in items {
        let told = rig.get(&format!("/v1/event-types/{}", item["name"].as_str().expect("a name"))).await.expect(200);
        fits(&told["schema"], &told["example"]);
        assert_eq!(told["example"]["type"], item["name"]);
        assert_eq!(told["parameters"], item["parameters"]);
        let open = told["parameters"].as_array().expect("parameters").iter().filter(|parameter| parameter["emailOnly"] == false);
        for parameter in open {
            let value = &told["example"]["data"]["parameters"][parameter["name"].as_str().expect("a name")];
            let kind = match value {
                Value::String(_) => "string",
                Value::Number(_) => "number",
                Value::Bool(_) => "boolean",
                Value::Object(_) => "object",
                other => panic!("{}: {parameter} is {other}", item["name"]),
            };
            // Optional members of the data may be missing.
            assert_eq!(parameter["type"], kind, "{}: {parameter}", item["name"]);
        }
        for member in ["title", "description", "trigger", "source", "orderingKey", "family"] {
            assert!(told[member].as_str().is_some_and(|text| !text.is_empty()), "{}: {member}", item["name"]);
        }
    }
    assert_eq!(items.last().expect("one")["family"], "custom");
    let aliased = items.iter().filter(|item| item["aliases"] != json!([])).count();
    assert_eq!(aliased, catalogue::all().filter(|event| !event.aliases.is_empty()).count());
}

#[tokio::test]
async fn a_type_gets_wider_version_by_version_and_old_ones_stay_readable() {
    for rig in Rig::everywhere().await {
        widen(rig).await;
    }
}

async fn widen(rig: Rig) {
    let made = rig.register(json!({})).await;
    let location = made.header("location").to_owned();
    assert_eq!(made.expect(201)["entities"][0]["after"]["name"], "custom.sim_swapped");
    assert_eq!(rig.get(&location).await.expect(200)["name"], "custom.sim_swapped");
    rig.register(json!({})).await.refused(409, "event_type_unchanged");

    let mut wider = schema();
    wider["properties"]["reason"] = json!({ "type": "string" });
    let next = rig.register(json!({ "schema": wider, "description": "A new SIM." })).await.expect(201);
    assert_eq!((&next["entities"][0]["action"], &next["entities"][0]["version"]), (&json!("updated"), &json!(2)));
    let latest = rig.get("/v1/event-types/custom.sim_swapped").await;
    assert_eq!(latest.header("etag"), "\"2\"");
    let latest = latest.expect(200);
    assert_eq!(latest["registered"]["schema"], wider);
    assert_eq!(latest["schema"]["$id"], "/schemas/custom.sim_swapped/v2.json");
    let first = rig.get("/v1/event-types/custom.sim_swapped?version=1").await.expect(200);
    assert_eq!((&first["version"], &first["registered"]["schema"]), (&json!(1), &schema()));
    rig.get("/v1/event-types/custom.sim_swapped?version=3").await.refused(404, "event_type_not_found");
    rig.get("/v1/event-types/account.created?version=2").await.refused(404, "event_type_not_found");

    let accepted = rig.submit(json!({ "type": "custom.sim_swapped", "key": "k", "data": { "iccid": "8949010000000000001" } })).await;
    let event = rig.get(&format!("/v1/events/{}", accepted["transaction"]["events"][0]["id"].as_str().expect("an id"))).await.expect(200);
    let dataschema = event["dataschema"].as_str().and_then(|url| url.strip_prefix(PUBLIC_URL)).expect("a URL of the gateway");
    assert_eq!(dataschema, "/schemas/custom.sim_swapped/v2.json");
    fits(&latest["schema"], &event);
    let served = rig.get(dataschema).await;
    assert_eq!(served.header("etag"), "\"v2\"");
    assert_eq!(served.expect(200), latest["schema"]);
    assert_eq!(rig.get("/schemas/custom.sim_swapped/v1.json").await.expect(200)["$id"], "/schemas/custom.sim_swapped/v1.json");
    rig.get("/schemas/custom.sim_swapped/v3.json").await.refused(404, "event_type_not_found");
    rig.get("/schemas/custom.sim_swapped/v01.json").await.refused(400, "invalid_parameter");
    rig.raw("GET", dataschema, &[], vec![]).await.refused(401, "unauthenticated");

    rig.call("DELETE", "/v1/event-types/custom.sim_swapped", &[("if-match", "\"1\"")], None).await.refused(412, "stale_version");
    rig.delete("/v1/event-types/custom.sim_swapped").await.expect(200);
    rig.get("/v1/event-types/custom.sim_swapped").await.refused(404, "event_type_not_found");
    assert_eq!(rig.get("/v1/event-types/custom.sim_swapped?version=2").await.expect(200)["registered"]["schema"], wider);
    let again = rig.register(json!({ "schema": { "type": "object" } })).await.expect(201);
    assert_eq!(again["entities"][0]["version"], 3, "no version ever means two schemas");
}

#[tokio::test]
async fn each_refusal_of_a_type_has_its_code() {
    let rig = Rig::new().await;
    let with = |members: Value| {
        let mut schema = json!({ "type": "object" });
        schema.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        rig.register(json!({ "schema": schema }))
    };
    with(json!({ "type": "array" })).await.refused(422, "schema_not_of_object");
    with(json!({ "$schema": "https://json-schema.org/draft-07/schema" })).await.refused(422, "schema_dialect_unknown");
    with(json!({ "requried": [] })).await.refused(422, "schema_keyword_unknown");
    with(json!({ "$id": "urn:x" })).await.refused(422, "schema_keyword_not_allowed");
    with(json!({ "items": { "$ref": "https://example.com/x.json" } })).await.refused(422, "schema_reference_not_allowed");
    with(json!({ "items": { "$ref": "#/$defs/a" } })).await.refused(422, "schema_reference_unknown");
    with(json!({ "$defs": { "a": { "not": { "$ref": "#/$defs/a" } } } })).await.refused(422, "schema_reference_recursive");
    with(json!({ "title": "x".repeat(70_000) })).await.refused(422, "schema_too_large");
    let long = json!({ "properties": { "a": { "pattern": "a".repeat(2_001) } } });
    with(long).await.refused(422, "schema_too_large");
    let patterns: serde_json::Map<String, Value> = (0..201).map(|n| (format!("p{n}"), json!({ "pattern": "a" }))).collect();
    with(json!({ "properties": patterns })).await.refused(422, "schema_too_large");
    let deep = (0..20).fold(json!({}), |inner, _| json!({ "items": inner }));
    with(deep).await.refused(422, "schema_too_deep");
    let invalid = with(json!({ "required": "iccid", "properties": { "a": { "type": "strnig" } } })).await.refused(422, "schema_invalid");
    assert_eq!(invalid["errors"].as_array().map(Vec::len), Some(2), "{invalid}");
    with(json!({ "properties": { "a": { "pattern": "(" } } })).await.refused(422, "schema_invalid");
    for name in ["Sim", "sim-swapped", "sim__swapped", "_sim", "sim."] {
        rig.register(json!({ "name": name })).await.refused(400, "schema_violation");
    }
    rig.register(json!({})).await.expect(201);
    let mut narrower = schema();
    narrower["required"] = json!(["iccid", "attempt"]);
    narrower["properties"].as_object_mut().expect("members").remove("places");
    let refused = rig.register(json!({ "schema": narrower })).await.refused(422, "schema_incompatible");
    let codes: Vec<_> = refused["errors"].as_array().expect("errors").iter().map(|e| e["code"].as_str().expect("a code")).collect();
    assert_eq!(codes, ["member_required", "member_removed"]);
    rig.register(json!({ "orderingKey": "key" })).await.refused(422, "ordering_key_changed");
    rig.delete("/v1/event-types/account.created").await.refused(409, "event_type_built_in");
    rig.delete("/v1/event-types/custom.nothing").await.refused(404, "event_type_not_found");
}

#[tokio::test]
async fn queues_subscriptions_and_templates_take_a_tenants_own_types() {
    let mut rig = Rig::new().await;
    rig.register(json!({})).await.expect(201);
    let queue = rig.queue("q", &["custom.sim_swapped"]).await;
    let near = rig.post("/v1/queues", json!({ "name": "z", "mode": "in_order", "eventTypes": ["custom.sim_swaped"] })).await;
    let near = near.refused(422, "event_type_unknown");
    assert!(near["detail"].as_str().is_some_and(|detail| detail.contains("custom.sim_swapped")), "{near}");
    let template = |text: &str| json!({ "name": "t", "eventTypes": ["custom.sim_swapped"], "subject": "s", "text": text });
    let typo = rig.post("/v1/notification-templates", template("{{ data.icid }}")).await.refused(422, "template_unknown_parameter");
    assert!(typo["detail"].as_str().is_some_and(|detail| detail.contains("data.iccid")), "{typo}");
    rig.post("/v1/notification-templates", template("{{ data.places }}")).await.refused(422, "template_unknown_parameter");
    rig.post("/v1/notification-templates", template("{{ account.name }}")).await.refused(422, "template_unknown_parameter");
    let template = rig.create("/v1/notification-templates", template("{{ data.iccid }} {{ event.name }}")).await;
    let smtp = rig
        .create("/v1/smtp-accounts", json!({ "name": "s", "server": "smtp.example.com", "fromName": "n", "fromAddress": "a@example.com" }))
        .await;
    let action = json!({ "type": "email", "smtpAccountId": smtp, "notificationTemplateId": template, "to": ["a@example.com"] });
    let body = json!({ "name": "s", "queueId": queue, "eventTypes": ["custom.sim_swapped"], "action": action });
    let subscription = rig.create("/v1/subscriptions", body).await;

    rig.delete("/v1/event-types/custom.sim_swapped").await.refused(409, "still_in_use");
    rig.delete(&format!("/v1/subscriptions/{subscription}")).await.expect(200);
    rig.delete(&format!("/v1/queues/{queue}")).await.expect(200);
    rig.delete("/v1/event-types/custom.sim_swapped").await.refused(409, "still_in_use");
    rig.delete(&format!("/v1/notification-templates/{template}")).await.expect(200);

    let own = std::mem::take(&mut rig.key);
    rig.key = rig.key_of("other", &["*"]).await;
    rig.get("/v1/event-types/custom.sim_swapped").await.refused(404, "event_type_not_found");
    rig.post("/v1/queues", json!({ "name": "z", "mode": "in_order", "eventTypes": ["custom.sim_swapped"] }))
        .await
        .refused(422, "event_type_unknown");
    rig.key = own;
    rig.delete("/v1/event-types/custom.sim_swapped").await.expect(200);
}

/// Two thousand alternatives for each of ten thousand numbers are refused before validation; fewer numbers are validated without listing
/// each violation.
#[tokio::test]
async fn data_that_take_too_much_work_are_refused_and_no_more_than_fifty_faults_are_told() {
    let rig = Rig::new().await;
    let consts: Vec<Value> = (0..1_900).map(|n| json!({ "const": format!("c{n}") })).collect();
    let schema =
        json!({ "type": "object", "properties": { "a": { "items": { "anyOf": consts } }, "b": { "items": { "type": "string" } } } });
    rig.register(json!({ "name": "many", "orderingKey": "key", "schema": schema })).await.expect(201);
    let item = |data: Value| json!({ "type": "custom.many", "key": "k", "data": data });
    let numbers = |count: usize| (0..count).collect::<Vec<_>>();
    let items = json!([
        item(json!({ "a": numbers(10) })),
        item(json!({ "a": numbers(200) })),
        item(json!({ "a": numbers(10_000) })),
        item(json!({ "b": numbers(10_000) })),
        item(json!({ "a": vec!["c1"; 200] })),
    ]);
    let answer = rig.post("/v1/events", json!({ "items": items })).await.expect(202);
    let told = |index: usize| -> (usize, Vec<&str>) {
        let errors = answer["items"][index]["problem"]["errors"].as_array().map_or(&[][..], Vec::as_slice);
        let mut codes: Vec<&str> = errors.iter().filter_map(|error| error["code"].as_str()).collect();
        codes.dedup();
        (errors.len(), codes)
    };
    assert_eq!(told(0), (10, vec!["data_invalid"]), "{answer}");
    assert_eq!(told(1), (1, vec!["data_invalid"]));
    assert_eq!(told(2), (1, vec!["data_too_complex"]));
    assert_eq!(told(3), (50, vec!["data_invalid"]));
    assert_eq!(answer["items"][4]["status"], "recorded");
    // The cost of a whole call is limited too.
    let many: Vec<Value> = (0..8).map(|_| item(json!({ "a": vec!["c1"; 240] }))).collect();
    let answer = rig.post("/v1/events", json!({ "items": many })).await.expect(202);
    assert_eq!(answer["items"][0]["status"], "recorded");
    assert_eq!(answer["items"][7]["problem"]["errors"][0]["code"], "data_too_complex", "{answer}");
}

#[tokio::test]
async fn submitted_events_are_judged_one_by_one_and_told_in_order() {
    for rig in Rig::everywhere().await {
        submit_many(rig).await;
    }
}

async fn submit_many(rig: Rig) {
    rig.register(json!({})).await.expect(201);
    rig.register(json!({ "name": "churn_risk", "orderingKey": "account", "schema": { "type": "object" } })).await.expect(201);
    let cycle = rig.cycle(1).await;
    let body = json!({ "externalId": "CRM-1", "name": "Acme", "currency": "EUR", "billCycle": cycle });
    let account = rig.create("/v1/accounts", body).await;
    let data = json!({ "iccid": "8949010000000000001", "attempt": 2, "places": ["a"] });
    let items = json!([
        { "type": "custom.sim_swapped", "account": "CRM-1", "subject": "sim-1", "data": data },
        { "type": "custom.sim_swapped", "key": "lane-1", "data": data },
        { "type": "custom.sim_swapped", "key": "lane-1", "data": { "iccid": "12", "attempt": 0, "more": 1 } },
        { "type": "custom.sim_swaped", "data": {} },
        { "type": "account.created", "account": account, "data": {} },
        { "type": "custom.churn_risk", "key": "k", "data": {} },
        { "type": "custom.churn_risk", "account": account, "key": "k", "data": {} },
        { "type": "custom.churn_risk", "account": "nobody", "data": {} },
        { "type": "custom.sim_swapped", "key": "a.b", "data": data },
        { "type": "custom.churn_risk", "account": account, "data": { "score": 0.5, "final": true } }
    ]);
    let body = json!({ "items": items });
    let answer = rig.call("POST", "/v1/events", &[("idempotency-key", "once")], Some(&body)).await;
    let text = answer.text.clone();
    let results = answer.expect(202)["items"].clone();
    let status: Vec<_> = results.as_array().expect("items").iter().map(|item| item["status"].as_str().expect("a status")).collect();
    let (yes, no) = ("recorded", "refused");
    assert_eq!(status, [yes, yes, no, no, no, no, no, no, no, yes]);
    let errors = |index: usize| -> Vec<(String, String)> {
        let errors = results[index]["problem"]["errors"].as_array().expect("errors");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let mut found: Vec<_> = errors.iter().map(|error| (text(&error["pointer"]), text(&error["code"]))).collect();
        found.sort();
        found
    };
    let pair = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
    assert_eq!(
        errors(2),
        [
            pair("/items/2/data/attempt", "data_invalid"),
            pair("/items/2/data/iccid", "data_invalid"),
            pair("/items/2/data/more", "data_invalid")
        ]
    );
    assert_eq!(errors(3), [pair("/items/3", "ordering_key_required"), pair("/items/3/type", "event_type_unknown")]);
    assert_eq!(errors(4), [pair("/items/4/type", "event_type_not_custom")]);
    assert_eq!(errors(5), [pair("/items/5/account", "ordering_key_required")]);
    assert_eq!(errors(6), [pair("/items/6/key", "ordering_key_ambiguous")]);
    assert_eq!(errors(7), [pair("/items/7/account", "account_unknown")]);
    assert_eq!(errors(8), [pair("/items/8/key", "key_invalid")]);
    assert_eq!(rig.call("POST", "/v1/events", &[("idempotency-key", "once")], Some(&body)).await.text, text, "a repeat answers the same");

    let of_account = rig.get("/v1/events?account=CRM-1").await.expect(200);
    let kinds: Vec<_> =
        of_account["items"].as_array().expect("items").iter().map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds, ["custom.churn_risk", "custom.sim_swapped", "account.created"]);
    let swapped = &of_account["items"][1];
    assert_eq!((&swapped["subject"], &swapped["partitionkey"]), (&json!("sim-1"), &json!(account)));
    assert_eq!(swapped["data"]["after"], data);
    let parameters = &swapped["data"]["parameters"];
    assert_eq!(
        (&parameters["account.name"], &parameters["data.attempt"], &parameters["event.name"]),
        (&json!("Acme"), &json!(2), &json!("SIM Swapped"))
    );
    assert_eq!(parameters.get("data.places"), None);
    let keyed = rig.get("/v1/events?key=lane-1").await.expect(200);
    assert_eq!(keyed["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(keyed["items"][0]["sequence"], "00000000000000000001");
    let stored = rig.store.unpublished(100).await.expect("events");
    let subjects: Vec<_> =
        stored.iter().filter(|event| event.kind.starts_with("custom.")).map(|event| event.key.as_str().to_owned()).collect();
    assert_eq!(subjects.len(), 3);
    rig.post("/v1/events", json!({ "items": [] })).await.refused(400, "schema_violation");
}

#[tokio::test]
async fn what_another_process_changes_in_the_configuration_counts_for_the_very_next_operation() {
    for rig in Rig::everywhere().await {
        let other = rig.beside().await;
        let swapped = json!({ "type": "custom.sim_swapped", "key": "k", "data": { "iccid": "8949010000000000001" } });
        rig.register(json!({ "orderingKey": "key" })).await.expect(201);
        assert_eq!(rig.submit(swapped.clone()).await["status"], "recorded");
        assert_eq!(other.submit(swapped.clone()).await["status"], "recorded");
        for round in 0..3 {
            other.delete("/v1/event-types/custom.sim_swapped").await.expect(200);
            let refused = rig.submit(swapped.clone()).await;
            assert_eq!(refused["problem"]["errors"][0]["code"], "event_type_unknown", "round {round}: {refused}");
            other.register(json!({ "orderingKey": "key" })).await.expect(201);
            assert_eq!(rig.submit(swapped.clone()).await["status"], "recorded", "round {round}");
        }
        let cycle = rig.cycle(1).await;
        let name = async || {
            let account = rig.account(&cycle).await;
            let events = rig.get(&format!("/v1/events?account={account}")).await.expect(200);
            events["items"][0]["data"]["parameters"].get("cycle.name").cloned()
        };
        assert_eq!(name().await, None);
        let source = other.create("/v1/data-sources", json!({ "name": "cycle", "object": "account", "path": ["billCycle"] })).await;
        assert_eq!(name().await, Some("c".into()));
        other.delete(&format!("/v1/data-sources/{source}")).await.expect(200);
        assert_eq!(name().await, None);
    }
}
