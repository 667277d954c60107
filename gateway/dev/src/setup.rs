//! The configuration that the story needs: created through the public API at the first start, and updated at later starts.

use billwire_schemas::events::catalogue;
use serde_json::{Map, Value, json};

use crate::{client::Api, prepare::Secrets, receiver, story::created, terminal};

/// The bill cycles of the story: external id and billing day. The account moves from the first to the second.
pub const CYCLES: [(&str, u32); 2] = [("MONTHLY-1", 1), ("MONTHLY-15", 15)];
/// The recipient of the e-mails.
const FINANCE: &str = "finance@acme.example";

/// Whether events of this type are also sent by e-mail.
pub fn mailed(event_type: &str) -> bool {
    event_type.starts_with("account.bill_cycle_") || matches!(event_type, "invoice.overdue" | "usage_threshold.exceeded")
}

/// A kind of configuration, and the names of its operations.
struct Noun {
    path: &'static str,
    create: &'static str,
    update: &'static str,
    /// Members that cannot be updated.
    fixed: &'static [&'static str],
    /// The operation that restarts an object that a user or the gateway has stopped.
    restart: Option<Restart>,
}

/// Restarts an object whose `member` has the value `stopped`.
struct Restart {
    member: &'static str,
    stopped: bool,
    path: &'static str,
    operation: &'static str,
}

const ENDPOINT: Noun = Noun {
    path: "/webhook-endpoints",
    create: "createWebhookEndpoint",
    update: "updateWebhookEndpoint",
    fixed: &["secret"],
    restart: Some(Restart { member: "enabled", stopped: false, path: "enable", operation: "enableWebhookEndpoint" }),
};
const SMTP: Noun = Noun { path: "/smtp-accounts", create: "createSmtpAccount", update: "updateSmtpAccount", fixed: &[], restart: None };
const TEMPLATE: Noun = Noun {
    path: "/notification-templates",
    create: "createNotificationTemplate",
    update: "updateNotificationTemplate",
    fixed: &[],
    restart: None,
};
const QUEUE: Noun = Noun {
    path: "/queues",
    create: "createQueue",
    update: "updateQueue",
    fixed: &[],
    restart: Some(Restart { member: "paused", stopped: true, path: "resume", operation: "resumeQueue" }),
};
const SUBSCRIPTION: Noun = Noun {
    path: "/subscriptions",
    create: "createSubscription",
    update: "updateSubscription",
    fixed: &["queueId"],
    restart: Some(Restart { member: "enabled", stopped: false, path: "enable", operation: "enableSubscription" }),
};

/// The names of the two subscriptions.
const WEBHOOKS: &str = "dev webhooks";
const MAILS: &str = "dev mails";

struct Setup<'a> {
    api: &'a Api,
    found: Vec<String>,
}

/// Creates what is missing and updates what differs. Deletes nothing, so that deliveries of an earlier run stay pending.
///
/// # Errors
/// The first refusal.
pub async fn run(api: &Api, secrets: &Secrets, mailbox_port: u16) -> Result<(), String> {
    let mut setup = Setup { api, found: Vec::new() };
    let all: Vec<&str> = catalogue::all().map(|event| event.name).collect();
    let mailed: Vec<&str> = all.iter().copied().filter(|name| mailed(name)).collect();
    setup.narrow(MAILS, &mailed).await?;
    let endpoint = json!({ "name": "dev receiver", "url": receiver::URL, "path": receiver::PATH, "secret": secrets.webhook });
    let endpoint = setup.endpoint(endpoint, secrets).await?;
    let smtp = json!({ "name": "dev mailbox", "server": "127.0.0.1", "port": mailbox_port, "security": "none",
                       "fromName": "Acme Billing", "fromAddress": "billing@acme.example" });
    let smtp = setup.ensure(&SMTP, smtp, &format!("the local mailbox, 127.0.0.1:{mailbox_port}")).await?.id;
    let template = json!({ "name": "dev bill cycle news", "eventTypes": mailed, "subject": "{{ event.name }}: {{ account.name }}",
                           "text": include_str!("letter.txt"), "html": include_str!("letter.html") });
    let template = setup.ensure(&TEMPLATE, template, "subject, text and HTML with contextual parameters").await?.id;
    let queue = json!({ "name": "everything", "mode": "in_order", "eventTypes": all });
    let queue = setup.ensure(&QUEUE, queue, &format!("everything: in order, all {} event types", catalogue::all().count())).await?.id;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    let webhooks = json!({ "name": WEBHOOKS, "queueId": queue, "action": action });
    setup.ensure(&SUBSCRIPTION, webhooks, "every event as a signed webhook").await?;
    let action = json!({ "type": "email", "smtpAccountId": smtp, "notificationTemplateId": template, "to": [FINANCE] });
    let mails = json!({ "name": MAILS, "queueId": queue, "eventTypes": mailed, "action": action });
    setup.ensure(&SUBSCRIPTION, mails, &format!("bill cycle events by e-mail to {FINANCE}")).await?;
    for (external_id, day) in CYCLES {
        setup.bill_cycle(external_id, day).await?;
    }
    if !setup.found.is_empty() {
        terminal::done("found again", &setup.found.join(", "));
    }
    Ok(())
}

/// An object that has the wanted state.
struct Ensured {
    id: String,
    /// Whether this run created it.
    created: bool,
}

impl Setup<'_> {
    /// Creates the object with this name, or updates the existing one. It is never deleted and created again: the deliveries of a
    /// subscription would be deleted with it.
    async fn ensure(&mut self, noun: &Noun, wanted: Value, outcome: &str) -> Result<Ensured, String> {
        let name = wanted["name"].as_str().unwrap_or_default().to_owned();
        let Some(there) = self.named(noun, &name).await? else {
            let made = self.api.post(noun.path, &wanted).await?.success(noun.create)?;
            terminal::done(noun.create, outcome);
            return Ok(Ensured { id: created(noun.create, &made)?, created: true });
        };
        let id = there["id"].as_str().unwrap_or_default().to_owned();
        let mut changed = differing(&there, &wanted);
        // The API does not return secrets, so they cannot be compared.
        changed.remove("secret");
        if let Some(fixed) = noun.fixed.iter().find(|member| changed.contains_key(**member)) {
            return Err(format!("'{name}' under {} has a different {fixed} than `billwire dev` needs; rename or delete it", noun.path));
        }
        if changed.is_empty() {
            self.found.push(name.clone());
        } else {
            let members: Vec<String> = changed.keys().cloned().collect();
            self.api.patch(&format!("{}/{id}", noun.path), &Value::Object(changed)).await?.success(noun.update)?;
            terminal::done(noun.update, &format!("{name}: {}", members.join(", ")));
        }
        if let Some(restart) = noun.restart.as_ref().filter(|restart| there[restart.member] == restart.stopped) {
            self.api.post(&format!("{}/{id}/{}", noun.path, restart.path), &json!({})).await?.success(restart.operation)?;
            terminal::done(restart.operation, &name);
        }
        Ok(Ensured { id, created: false })
    }

    /// The webhook endpoint of the local receiver. It signs with the secret that the receiver verifies with.
    async fn endpoint(&mut self, wanted: Value, secrets: &Secrets) -> Result<String, String> {
        let Ensured { id, created } = self.ensure(&ENDPOINT, wanted, receiver::URL).await?;
        if !created && secrets.webhook_is_new {
            let body = json!({ "secret": secrets.webhook, "overlapSeconds": 0 });
            self.api.post(&format!("{}/{id}/rotate-secret", ENDPOINT.path), &body).await?.success("rotateWebhookSecret")?;
            terminal::done("rotateWebhookSecret", "the receiver has a new secret");
        }
        // Saved last: if this start is killed before, the next one creates a new secret and rotates to it.
        secrets.keep_webhook()?;
        Ok(id)
    }

    /// Removes unwanted event types from a subscription. This comes first, because a queue or a template cannot lose an event type that a
    /// subscription still uses, and a subscription cannot gain one that they do not have yet.
    async fn narrow(&mut self, name: &str, wanted: &[&str]) -> Result<(), String> {
        let Some(there) = self.named(&SUBSCRIPTION, name).await? else { return Ok(()) };
        let named = there["eventTypes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let kept: Vec<&Value> = named.iter().filter(|one| wanted.iter().any(|kind| *one == kind)).collect();
        // An empty list would mean all event types of the queue.
        if kept.len() == named.len() || kept.is_empty() {
            return Ok(());
        }
        let id = there["id"].as_str().unwrap_or_default();
        let body = json!({ "eventTypes": kept });
        self.api.patch(&format!("{}/{id}", SUBSCRIPTION.path), &body).await?.success(SUBSCRIPTION.update)?;
        terminal::done(SUBSCRIPTION.update, &format!("{name}: fewer event types"));
        Ok(())
    }

    async fn named(&self, noun: &Noun, name: &str) -> Result<Option<Value>, String> {
        let mut cursor = String::new();
        loop {
            let mut page = self.api.get(&format!("{}?limit=200{cursor}", noun.path)).await?.success(&format!("GET {}", noun.path))?;
            if let Some(items) = page["items"].as_array_mut()
                && let Some(at) = items.iter().position(|item| item["name"] == name)
            {
                return Ok(Some(items.swap_remove(at)));
            }
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(None),
            }
        }
    }

    async fn bill_cycle(&mut self, external_id: &str, day: u32) -> Result<(), String> {
        let path = format!("/bill-cycles/{external_id}");
        let there = self.api.get(&path).await?;
        let wanted = json!({ "name": format!("Monthly on day {day}"), "period": "month", "billingDay": day });
        if there.status == 404 {
            let mut body = wanted;
            body["externalId"] = external_id.into();
            self.api.post("/bill-cycles", &body).await?.success("createBillCycle")?;
            terminal::done("createBillCycle", &format!("{external_id}: monthly, billed on day {day}"));
            return Ok(());
        }
        let there = there.success("getBillCycle")?;
        let changed = differing(&there, &wanted);
        if changed.is_empty() {
            self.found.push(external_id.to_owned());
        } else {
            self.api.patch(&path, &Value::Object(changed)).await?.success("updateBillCycle")?;
            terminal::done("updateBillCycle", &format!("{external_id}: monthly, billed on day {day}"));
        }
        Ok(())
    }
}

/// The members of `wanted` that `there` does not include.
fn differing(there: &Value, wanted: &Value) -> Map<String, Value> {
    let members = wanted.as_object().into_iter().flatten();
    members.filter(|(name, value)| !includes(&there[name.as_str()], value)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether `there` includes `wanted`. It may have additional members, because the API also returns defaults.
fn includes(there: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Object(members) => there.is_object() && members.iter().all(|(name, value)| includes(&there[name.as_str()], value)),
        _ => there == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differing_members_are_changed() {
        let there = json!({ "id": "1", "name": "n", "action": { "type": "email", "to": ["a"], "attachEvent": false }, "port": 1 });
        let same = json!({ "name": "n", "action": { "type": "email", "to": ["a"] }, "port": 1 });
        assert!(differing(&there, &same).is_empty(), "additional defaults are no difference");
        let other = json!({ "name": "n", "action": { "type": "email", "to": ["a", "b"] }, "port": 2, "path": "/p" });
        assert_eq!(differing(&there, &other).keys().collect::<Vec<_>>(), ["action", "path", "port"]);
    }
}
