//! Usage identifiers, buckets, charges, adjustments, contracts.

use serde_json::{Value, json};

use super::{Row, world::World};

async fn service(world: &mut World) {
    let body = json!({ "account": world.account, "name": "Truck 42", "serviceType": "iot" });
    world.make("service", "/v1/services", body).await;
}

async fn identifier(world: &mut World) {
    service(world).await;
    let value = world.account.clone();
    let body = json!({ "service": world.id("service"), "kind": "iccid", "value": value, "dormantAfterDays": 3 });
    world.make("identifier", "/v1/usage-identifiers", body).await;
}

async fn bucket(world: &mut World) {
    service(world).await;
    let tiers = json!([{ "name": "80 percent", "upTo": "8" }, { "name": "all", "upTo": "10" }]);
    let body = json!({ "service": world.id("service"), "name": "Data", "unit": "MB", "tiers": tiers });
    world.make("bucket", "/v1/buckets", body).await;
}

/// Reports a charge and returns its id.
pub async fn charge(world: &mut World, more: Value) {
    let mut item = json!({ "account": world.account, "type": "data", "amount": { "amount": "10", "currency": "EUR" },
                           "occurredAt": world.now().await });
    item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = world.post("/v1/chargeable-events", json!({ "items": [item] })).await;
    assert_eq!(answer["items"][0]["status"], "recorded", "{answer}");
    let id = answer["items"][0]["transaction"]["entities"][0]["id"].as_str().unwrap().to_owned();
    world.ids.insert("charge", id);
}

pub async fn adjust(world: &mut World, charge_type: &str, amount: &str) {
    let body =
        json!({ "chargeType": charge_type, "amount": { "amount": amount, "currency": "EUR" }, "reason": "goodwill", "user": "csr-17" });
    let path = format!("/v1/chargeable-events/{}/adjustments", world.id("charge"));
    world.post(&path, body).await;
}

async fn contract(world: &mut World) {
    let tier = |name: &str, amount: &str| json!({ "name": name, "commit": { "amount": amount, "currency": "EUR" } });
    let start = world.today().await;
    let body = json!({ "account": world.account, "name": "Frame", "startDate": start, "periodMonths": 1,
                       "tiers": [tier("Silver", "5"), tier("Gold", "500"), tier("Platinum", "5000")] });
    world.make("contract", "/v1/contracts", body).await;
}

pub const ROWS: &[Row] = &[
    Row {
        kind: "usage_identifier.created",
        publishes: &["usage_identifier.created"],
        tells: &["usageIdentifier.kind", "usageIdentifier.value", "service.name"],
        given: |world| Box::pin(service(world)),
        when: |world| {
            Box::pin(async {
                let body = json!({ "service": world.id("service"), "kind": "iccid", "value": world.account });
                world.make("identifier", "/v1/usage-identifiers", body).await;
            })
        },
    },
    Row {
        kind: "usage_identifier.updated",
        publishes: &["chargeable_event.created", "usage_identifier.updated"],
        tells: &["usageIdentifier.lastUsageOn"],
        given: |world| Box::pin(identifier(world)),
        when: |world| {
            Box::pin(async {
                let name = json!({ "usageIdentifier": { "kind": "iccid", "value": world.account } });
                charge(world, name).await;
            })
        },
    },
    Row {
        kind: "usage_identifier.deleted",
        publishes: &["usage_identifier.deleted"],
        tells: &["usageIdentifier.value"],
        given: |world| Box::pin(identifier(world)),
        when: |world| Box::pin(async { drop(world.delete(&format!("/v1/usage-identifiers/{}", world.id("identifier"))).await) }),
    },
    Row {
        kind: "usage_identifier.dormant",
        publishes: &["usage_identifier.updated", "usage_identifier.dormant"],
        tells: &["usageIdentifier.dormantSince", "usageIdentifier.dormantAfterDays", "service.name"],
        given: |world| Box::pin(identifier(world)),
        when: |world| Box::pin(async { world.days_pass(5).await }),
    },
    Row {
        kind: "bucket.created",
        publishes: &["bucket.created"],
        tells: &["bucket.name", "bucket.size", "service.name"],
        given: |world| Box::pin(service(world)),
        when: |world| {
            Box::pin(async {
                let body = json!({ "service": world.id("service"), "name": "Data", "unit": "MB", "tiers": [{ "upTo": "8" }] });
                world.make("bucket", "/v1/buckets", body).await;
            })
        },
    },
    Row {
        kind: "bucket.updated",
        publishes: &["bucket.updated"],
        tells: &["bucket.used", "bucket.remaining"],
        // A bucket that nothing was counted on is not changed by a reset.
        given: |world| {
            Box::pin(async {
                bucket(world).await;
                let usage = json!({ "service": world.id("service"), "quantity": "1", "unit": "MB" });
                charge(world, usage).await;
            })
        },
        when: |world| Box::pin(async { drop(world.post(&format!("/v1/buckets/{}/reset", world.id("bucket")), json!({})).await) }),
    },
    Row {
        kind: "bucket.deleted",
        publishes: &["bucket.deleted"],
        tells: &["bucket.name"],
        given: |world| Box::pin(bucket(world)),
        when: |world| Box::pin(async { drop(world.delete(&format!("/v1/buckets/{}", world.id("bucket"))).await) }),
    },
    Row {
        kind: "usage_threshold.exceeded",
        publishes: &["chargeable_event.created", "bucket.updated", "usage_threshold.exceeded"],
        tells: &["bucket.tier", "bucket.tierNumber", "bucket.tierSize", "bucket.used", "service.name"],
        given: |world| Box::pin(bucket(world)),
        when: |world| {
            Box::pin(async {
                let usage = json!({ "service": world.id("service"), "quantity": "8", "unit": "MB" });
                charge(world, usage).await;
            })
        },
    },
    Row {
        kind: "chargeable_event.created",
        publishes: &["chargeable_event.created"],
        tells: &["chargeableEvent.type", "chargeableEvent.amount", "chargeableEvent.netAmount", "account.name"],
        given: |_| Box::pin(async {}),
        when: |world| Box::pin(charge(world, json!({}))),
    },
    Row {
        kind: "chargeable_event.updated",
        publishes: &["adjustment.created", "chargeable_event.updated", "chargeable_event.adjusted"],
        tells: &["chargeableEvent.netAmount"],
        given: |world| Box::pin(charge(world, json!({}))),
        when: |world| Box::pin(adjust(world, "DEBIT", "1")),
    },
    Row {
        kind: "chargeable_event.adjusted",
        publishes: &["adjustment.created", "chargeable_event.updated", "chargeable_event.adjusted"],
        tells: &["adjustment.reason", "adjustment.amount", "adjustment.user", "chargeableEvent.netAmount"],
        given: |world| Box::pin(charge(world, json!({}))),
        when: |world| Box::pin(adjust(world, "CREDIT", "1")),
    },
    Row {
        kind: "chargeable_event.reversed",
        publishes: &["chargeable_event.updated", "chargeable_event.reversed", "adjustment.created"],
        tells: &["chargeableEvent.reversedAt", "chargeableEvent.netAmount"],
        given: |world| Box::pin(charge(world, json!({}))),
        when: |world| {
            let path = format!("/v1/chargeable-events/{}/reverse", world.id("charge"));
            Box::pin(async move { drop(world.post(&path, json!({ "reason": "wrong tariff" })).await) })
        },
    },
    Row {
        kind: "adjustment.created",
        publishes: &["adjustment.created", "chargeable_event.updated", "chargeable_event.adjusted"],
        tells: &["adjustment.chargeType", "chargeableEvent.type"],
        given: |world| Box::pin(charge(world, json!({}))),
        when: |world| Box::pin(adjust(world, "CREDIT", "1")),
    },
    Row {
        kind: "contract.created",
        publishes: &["contract.created"],
        tells: &["contract.name", "contract.periodEnd"],
        given: |_| Box::pin(async {}),
        when: |world| Box::pin(contract(world)),
    },
    Row {
        kind: "contract.updated",
        publishes: &["contract.updated"],
        tells: &["contract.name"],
        given: |world| Box::pin(contract(world)),
        when: |world| {
            Box::pin(async { drop(world.patch(&format!("/v1/contracts/{}", world.id("contract")), json!({ "name": "F" })).await) })
        },
    },
    Row {
        kind: "contract.deleted",
        publishes: &["contract.deleted"],
        tells: &["contract.name"],
        given: |world| {
            Box::pin(async {
                let tiers = json!([{ "name": "T", "commit": { "amount": "5", "currency": "EUR" } }]);
                let body =
                    json!({ "account": world.account, "name": "Later", "startDate": "2199-01-01", "periodMonths": 1, "tiers": tiers });
                world.make("contract", "/v1/contracts", body).await;
            })
        },
        when: |world| Box::pin(async { drop(world.delete(&format!("/v1/contracts/{}", world.id("contract"))).await) }),
    },
    Row {
        kind: "contract.under_commit",
        publishes: &["contract.updated", "contract.under_commit", "contract.under_commit"],
        tells: &["contract.tier", "contract.commit", "contract.spend", "contract.shortfall"],
        given: |world| {
            Box::pin(async {
                contract(world).await;
                charge(world, json!({})).await;
            })
        },
        when: |world| Box::pin(async { world.days_pass(33).await }),
    },
];
