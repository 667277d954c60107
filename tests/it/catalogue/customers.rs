//! Accounts, bill cycles, contacts, packages, their subscriptions, services.

use serde_json::json;

use super::{Row, world::World};

async fn nothing(_: &mut World) {}

async fn package(world: &mut World) {
    let fee = json!({ "amount": "30.00", "currency": "EUR" });
    let id = world.make("package", "/v1/packages", json!({ "name": "Business 100", "recurringFee": fee })).await;
    world.watch(&id);
}

async fn subscription(world: &mut World) {
    package(world).await;
    let body = json!({ "account": world.account, "package": world.id("package") });
    world.make("subscription", "/v1/package-subscriptions", body).await;
}

async fn service(world: &mut World) {
    let body = json!({ "account": world.account, "name": "Mobile", "serviceType": "mobile" });
    world.make("service", "/v1/services", body).await;
}

async fn contact(world: &mut World) {
    let body = json!({ "account": world.account, "role": "billing", "name": "Ada Byron", "email": "ada@acme.example" });
    world.make("contact", "/v1/contacts", body).await;
}

async fn planned_change(world: &mut World) {
    let other = world.api.bill_cycle(15).await;
    world.ids.insert("other cycle", other.clone());
    let body = json!({ "billCycle": other, "validFrom": "2100-01-01T00:00:00Z" });
    world.post(&format!("/v1/accounts/{}/bill-cycle", world.account), body).await;
}

async fn planned_cancellation(world: &mut World) {
    world.post(&format!("/v1/accounts/{}/cancel", world.account), json!({ "endOfPeriod": true })).await;
}

async fn planned_status(world: &mut World, noun: &str, object: &str) {
    let path = format!("/v1/{noun}/{}/status", world.id(object));
    world.post(&path, json!({ "status": "active", "endOfPeriod": true })).await;
}

const ACCOUNT: &[&str] = &["account.id", "account.name", "account.status", "account.currency"];

pub const ROWS: &[Row] = &[
    Row {
        kind: "account.created",
        publishes: &["account.created"],
        tells: ACCOUNT,
        given: |world| Box::pin(nothing(world)),
        when: |world| {
            Box::pin(async {
                let account = world.api.account(&world.cycle).await;
                world.watch(&account);
            })
        },
    },
    Row {
        kind: "account.updated",
        publishes: &["account.updated"],
        tells: &["account.id", "company.name", "company.city"],
        given: |world| Box::pin(nothing(world)),
        when: |world| {
            Box::pin(async {
                let body = json!({ "name": "Acme Mobile", "company": { "name": "Acme plc", "city": "Bergen" } });
                world.patch(&format!("/v1/accounts/{}", world.account), body).await;
            })
        },
    },
    Row {
        kind: "account.deleted",
        publishes: &["account.deleted"],
        tells: ACCOUNT,
        given: |world| {
            Box::pin(async {
                let body = json!({ "name": "Never billed", "currency": "EUR", "billCycle": world.cycle, "status": "inactive" });
                let account = world.make("inactive", "/v1/accounts", body).await;
                world.watch(&account);
            })
        },
        when: |world| Box::pin(async { drop(world.delete(&format!("/v1/accounts/{}", world.id("inactive"))).await) }),
    },
    Row {
        kind: "account.status_changed",
        publishes: &["account.updated", "account.status_changed", "service.updated", "service.state_changed"],
        tells: &["account.statusReason"],
        given: |world| {
            Box::pin(async {
                service(world).await;
                let path = format!("/v1/services/{}/status", world.id("service"));
                world.post(&path, json!({ "status": "active" })).await;
            })
        },
        when: |world| {
            Box::pin(async {
                let body = json!({ "status": "suspended", "reason": "unpaid", "services": true });
                world.post(&format!("/v1/accounts/{}/status", world.account), body).await;
            })
        },
    },
    Row {
        kind: "account.cancelled",
        publishes: &["account.updated", "account.status_changed", "account.cancelled"],
        tells: ACCOUNT,
        given: |world| Box::pin(nothing(world)),
        when: |world| Box::pin(async { drop(world.post(&format!("/v1/accounts/{}/cancel", world.account), json!({})).await) }),
    },
    Row {
        kind: "account.status_change_planned",
        publishes: &["account.updated", "account.status_change_planned"],
        tells: &["account.plannedStatus", "account.plannedStatusFrom"],
        given: |world| Box::pin(nothing(world)),
        when: |world| Box::pin(planned_cancellation(world)),
    },
    Row {
        kind: "account.status_change_cancelled",
        publishes: &["account.updated", "account.status_change_cancelled"],
        tells: ACCOUNT,
        given: |world| Box::pin(planned_cancellation(world)),
        when: |world| {
            Box::pin(async { drop(world.post(&format!("/v1/accounts/{}/status-change/cancel", world.account), json!({})).await) })
        },
    },
    Row {
        kind: "account.bill_cycle_change_planned",
        publishes: &["account.updated", "account.bill_cycle_change_planned"],
        tells: &["account.plannedBillCycle", "account.plannedFrom"],
        given: |world| Box::pin(nothing(world)),
        when: |world| Box::pin(planned_change(world)),
    },
    Row {
        kind: "account.bill_cycle_change_cancelled",
        publishes: &["account.updated", "account.bill_cycle_change_cancelled"],
        tells: &["account.plannedBillCycle", "account.plannedFrom"],
        given: |world| Box::pin(planned_change(world)),
        when: |world| {
            Box::pin(async { drop(world.post(&format!("/v1/accounts/{}/bill-cycle-change/cancel", world.account), json!({})).await) })
        },
    },
    Row {
        kind: "account.bill_cycle_changed",
        publishes: &["account.updated", "account.bill_cycle_changed"],
        tells: &["account.billCycle", "account.periodStart", "account.periodEnd"],
        given: |world| Box::pin(planned_change(world)),
        when: |world| {
            Box::pin(async { drop(world.post(&format!("/v1/accounts/{}/bill-cycle-change/perform", world.account), json!({})).await) })
        },
    },
    Row {
        kind: "bill_cycle.created",
        publishes: &["bill_cycle.created"],
        tells: &["billCycle.id", "billCycle.name", "billCycle.period"],
        given: |world| Box::pin(nothing(world)),
        when: |world| {
            Box::pin(async {
                let cycle = world.api.bill_cycle(9).await;
                world.watch(&cycle);
            })
        },
    },
    Row {
        kind: "bill_cycle.updated",
        publishes: &["bill_cycle.updated"],
        tells: &["billCycle.name"],
        given: |world| Box::pin(nothing(world)),
        when: |world| Box::pin(async { drop(world.patch(&format!("/v1/bill-cycles/{}", world.cycle), json!({ "name": "Firsts" })).await) }),
    },
    Row {
        kind: "bill_cycle.deleted",
        publishes: &["bill_cycle.deleted"],
        tells: &["billCycle.id"],
        given: |world| {
            Box::pin(async {
                let cycle = world.api.bill_cycle(9).await;
                world.watch(&cycle);
                world.ids.insert("unused", cycle);
            })
        },
        when: |world| Box::pin(async { drop(world.delete(&format!("/v1/bill-cycles/{}", world.id("unused"))).await) }),
    },
    Row {
        kind: "contact.created",
        publishes: &["contact.created"],
        tells: ACCOUNT,
        given: |world| Box::pin(nothing(world)),
        when: |world| Box::pin(contact(world)),
    },
    Row {
        kind: "contact.updated",
        publishes: &["contact.updated"],
        tells: ACCOUNT,
        given: |world| Box::pin(contact(world)),
        when: |world| {
            Box::pin(async { drop(world.patch(&format!("/v1/contacts/{}", world.id("contact")), json!({ "name": "A. B." })).await) })
        },
    },
    Row {
        kind: "contact.deleted",
        publishes: &["contact.deleted"],
        tells: ACCOUNT,
        given: |world| Box::pin(contact(world)),
        when: |world| Box::pin(async { drop(world.delete(&format!("/v1/contacts/{}", world.id("contact"))).await) }),
    },
    Row {
        kind: "package.created",
        publishes: &["package.created"],
        tells: &["package.id", "package.name"],
        given: |world| Box::pin(nothing(world)),
        when: |world| Box::pin(package(world)),
    },
    Row {
        kind: "package.updated",
        publishes: &["package.updated"],
        tells: &["package.name"],
        given: |world| Box::pin(package(world)),
        when: |world| Box::pin(async { drop(world.patch(&format!("/v1/packages/{}", world.id("package")), json!({ "name": "B" })).await) }),
    },
    Row {
        kind: "package.deleted",
        publishes: &["package.deleted"],
        tells: &["package.id"],
        given: |world| Box::pin(package(world)),
        when: |world| Box::pin(async { drop(world.delete(&format!("/v1/packages/{}", world.id("package"))).await) }),
    },
    Row {
        kind: "package_subscription.created",
        publishes: &["package_subscription.created"],
        tells: &["account.id", "package.name"],
        given: |world| Box::pin(async { package(world).await }),
        when: |world| {
            Box::pin(async {
                let body = json!({ "account": world.account, "package": world.id("package") });
                world.make("subscription", "/v1/package-subscriptions", body).await;
            })
        },
    },
    Row {
        kind: "package_subscription.updated",
        publishes: &["package_subscription.updated", "package.status_changed"],
        tells: &["account.id", "package.name"],
        given: |world| Box::pin(subscription(world)),
        when: |world| {
            Box::pin(async {
                let path = format!("/v1/package-subscriptions/{}/status", world.id("subscription"));
                world.post(&path, json!({ "status": "active" })).await;
            })
        },
    },
    Row {
        kind: "package.status_changed",
        publishes: &["package_subscription.updated", "package.status_changed"],
        tells: &["account.id", "package.name"],
        given: |world| Box::pin(subscription(world)),
        when: |world| {
            Box::pin(async {
                let path = format!("/v1/package-subscriptions/{}/status", world.id("subscription"));
                world.post(&path, json!({ "status": "active", "reason": "unpaid" })).await;
            })
        },
    },
    Row {
        kind: "package.cancelled",
        publishes: &["package_subscription.updated", "package.status_changed", "package.cancelled"],
        tells: &["account.id", "package.name"],
        given: |world| Box::pin(subscription(world)),
        when: |world| {
            Box::pin(async { drop(world.post(&format!("/v1/package-subscriptions/{}/cancel", world.id("subscription")), json!({})).await) })
        },
    },
    Row {
        kind: "service.created",
        publishes: &["service.created"],
        tells: &["account.id", "service.id", "service.name"],
        given: |world| Box::pin(nothing(world)),
        when: |world| Box::pin(service(world)),
    },
    Row {
        kind: "service.updated",
        publishes: &["service.updated"],
        tells: &["service.name", "service.attributes"],
        given: |world| Box::pin(service(world)),
        when: |world| {
            Box::pin(async {
                drop(world.patch(&format!("/v1/services/{}", world.id("service")), json!({ "attributes": { "truck": "42" } })).await)
            })
        },
    },
    Row {
        kind: "service.deleted",
        publishes: &["service.deleted"],
        tells: &["service.id"],
        given: |world| Box::pin(service(world)),
        when: |world| Box::pin(async { drop(world.delete(&format!("/v1/services/{}", world.id("service"))).await) }),
    },
    Row {
        kind: "service.state_changed",
        publishes: &["service.updated", "service.state_changed"],
        tells: &["service.status", "service.previousStatus", "account.name"],
        given: |world| Box::pin(service(world)),
        when: |world| {
            Box::pin(async {
                let path = format!("/v1/services/{}/status", world.id("service"));
                world.post(&path, json!({ "status": "active" })).await;
            })
        },
    },
    Row {
        kind: "package.status_change_planned",
        publishes: &["package_subscription.updated", "package.status_change_planned"],
        tells: &["package.plannedStatus", "package.plannedStatusFrom"],
        given: |world| Box::pin(subscription(world)),
        when: |world| Box::pin(planned_status(world, "package-subscriptions", "subscription")),
    },
    Row {
        kind: "package.status_change_cancelled",
        publishes: &["package_subscription.updated", "package.status_change_cancelled"],
        tells: ACCOUNT,
        given: |world| {
            Box::pin(async {
                subscription(world).await;
                planned_status(world, "package-subscriptions", "subscription").await;
            })
        },
        when: |world| {
            Box::pin(async {
                let path = format!("/v1/package-subscriptions/{}/status-change/cancel", world.id("subscription"));
                world.post(&path, json!({})).await;
            })
        },
    },
    Row {
        kind: "service.state_change_planned",
        publishes: &["service.updated", "service.state_change_planned"],
        tells: &["service.plannedStatus", "service.plannedStatusFrom"],
        given: |world| Box::pin(service(world)),
        when: |world| Box::pin(planned_status(world, "services", "service")),
    },
    Row {
        kind: "service.state_change_cancelled",
        publishes: &["service.updated", "service.state_change_cancelled"],
        tells: ACCOUNT,
        given: |world| {
            Box::pin(async {
                service(world).await;
                planned_status(world, "services", "service").await;
            })
        },
        when: |world| {
            Box::pin(async {
                let path = format!("/v1/services/{}/status-change/cancel", world.id("service"));
                world.post(&path, json!({})).await;
            })
        },
    },
];
