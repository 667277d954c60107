//! Charges over HTTP: bulk recording, search and adjustment.

use serde_json::{Value, json};

use crate::rig::Rig;

fn charge(external_id: &str, amount: &str) -> Value {
    json!({ "externalId": external_id, "account": "A", "type": "voice", "description": "Call to Norway",
            "amount": { "amount": amount, "currency": "EUR" }, "occurredAt": "2027-01-04T09:30:00Z" })
}

async fn account(rig: &Rig) {
    rig.post("/v1/test-clock", json!({ "now": "2027-01-10T00:00:00Z" })).await;
    let cycle = rig.cycle(1).await;
    rig.post("/v1/accounts", json!({ "externalId": "A", "name": "A", "currency": "EUR", "billCycle": cycle })).await.expect(201);
}

#[tokio::test]
async fn each_item_of_a_bulk_is_judged_by_itself() {
    for rig in Rig::everywhere().await {
        account(&rig).await;
        let mut unknown = charge("c3", "1");
        unknown["account"] = "nobody".into();
        let mut foreign = charge("c4", "-1");
        foreign["amount"]["currency"] = "USD".into();
        let mut late = charge("c6", "1.0000001");
        late["quantity"] = "1.00000001".into();
        let mut nobody = charge("c7", "1");
        nobody.as_object_mut().unwrap().remove("account");
        let items = [charge("c1", "1.5"), charge("c1", "1.5"), unknown, foreign, charge("c5", "2"), late, nobody];
        let answer = rig.post("/v1/chargeable-events", json!({ "items": items })).await.expect(200);
        let results = answer["items"].as_array().expect("results");
        let states: Vec<&str> = results.iter().filter_map(|result| result["status"].as_str()).collect();
        assert_eq!(states, ["recorded", "refused", "refused", "refused", "recorded", "refused", "refused"]);
        let codes = |index: usize| -> Vec<(&str, &str)> {
            let errors = results[index]["problem"]["errors"].as_array().into_iter().flatten();
            errors.map(|error| (error["pointer"].as_str().unwrap_or(""), error["code"].as_str().unwrap_or(""))).collect()
        };
        assert_eq!(results[1]["problem"]["code"], "external_id_taken", "a charge that stands in the same bulk twice is charged once");
        assert_eq!(codes(2), [("/items/2/account", "account_unknown")]);
        assert_eq!(codes(3), [("/items/3/amount/currency", "currency_mismatch"), ("/items/3/amount/amount", "amount_negative")]);
        assert_eq!(codes(5), [("/items/5/amount/amount", "amount_too_fine"), ("/items/5/quantity", "amount_too_fine")]);
        assert_eq!(codes(6), [("/items/6/account", "account_required")]);
        let transaction = &results[0]["transaction"];
        assert_eq!(transaction["events"][0]["type"], "chargeable_event.created");
        assert_eq!(transaction["entities"][0]["after"]["amount"], json!({ "amount": "1.50", "currency": "EUR" }));
        let mut strange = charge("c8", "1");
        strange["account"] = "nobody".into();
        let none = rig.post("/v1/chargeable-events", json!({ "items": [charge("c5", "2"), strange] })).await;
        assert_eq!(none.status, 422, "nothing was accepted: {}", none.text);
        let pair = |place: &str, code: &str| (place.to_owned(), code.to_owned());
        assert_eq!(
            none.violations("nothing_accepted"),
            [pair("/items/0", "external_id_taken"), pair("/items/1/account", "account_unknown")]
        );
        let all = rig.get("/v1/chargeable-events?account=A").await.expect(200);
        assert_eq!(all["items"].as_array().map(Vec::len), Some(2));
    }
}

#[tokio::test]
async fn a_search_filters_sorts_and_pages() {
    for rig in Rig::everywhere().await {
        account(&rig).await;
        let items: Vec<Value> = (0..25)
            .map(|n| {
                let mut item = charge(&format!("c{n}"), &format!("{}", (n * 7) % 25));
                item["occurredAt"] = format!("2027-01-{:02}T00:00:00Z", n % 8 + 1).into();
                item["type"] = if n % 2 == 0 { "voice" } else { "data" }.into();
                item
            })
            .collect();
        rig.post("/v1/chargeable-events", json!({ "items": items })).await.expect(200);
        let mut amounts = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/chargeable-events?sort=netAmount&order=ascending&limit=4{cursor}");
            let page = rig.get(&path).await.expect(200);
            amounts.extend(page["items"].as_array().unwrap().iter().map(|c| c["amount"]["amount"].as_str().unwrap().to_owned()));
            let Some(next) = page["nextCursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(amounts, (0..25).map(|n| format!("{n}.00")).collect::<Vec<_>>(), "each once, in order");
        let count = async |query: &str| {
            let page = rig.get(&format!("/v1/chargeable-events?limit=200&{query}")).await.expect(200);
            page["items"].as_array().unwrap().len()
        };
        assert_eq!(count("type=data").await, 12);
        assert_eq!(count("from=2027-01-03T00:00:00Z&to=2027-01-04T00:00:00Z").await, 3);
        assert_eq!(count("text=NORWAY").await, 25);
        assert_eq!(count("text=100%25").await, 0, "a wildcard of the database is only a character");
        assert_eq!(count("state=billed").await, 0);
        assert_eq!(count("state=unbilled&account=A").await, 25);
    }
}

#[tokio::test]
async fn an_adjustment_keeps_what_was_recorded_and_needs_its_own_scope() {
    for rig in Rig::everywhere().await {
        account(&rig).await;
        rig.post("/v1/chargeable-events", json!({ "items": [charge("c1", "5")] })).await.expect(200);
        let credit = |amount: &str| {
            json!({ "chargeType": "CREDIT", "amount": { "amount": amount, "currency": "EUR" }, "taxIncluded": true,
                    "reason": "goodwill", "user": "csr-17" })
        };
        let path = "/v1/chargeable-events/c1/adjustments";
        let done = rig.post(path, credit("1.25")).await.expect(200);
        let kinds: Vec<&str> = done["events"].as_array().unwrap().iter().filter_map(|e| e["type"].as_str()).collect();
        assert_eq!(kinds, ["adjustment.created", "chargeable_event.updated", "chargeable_event.adjusted"]);
        let charge = rig.get("/v1/chargeable-events/c1").await.expect(200);
        assert_eq!(charge["amount"]["amount"], "5.00");
        assert_eq!(charge["netAmount"]["amount"], "3.75");
        rig.post(path, credit("3.750001")).await.refused(422, "charge_below_zero");
        rig.post(path, credit("0")).await.refused(422, "amount_not_positive");
        rig.post("/v1/chargeable-events/none/adjustments", credit("1")).await.refused(404, "chargeable_event_not_found");
        let adjustments = rig.get("/v1/adjustments?chargeableEvent=c1").await.expect(200);
        assert_eq!(adjustments["items"][0]["state"], "applied");
    }
}
