//! What the story stands on, made through the public API at the first start, found again and kept in shape at later ones.

use billwire_schemas::events::catalogue;
use serde_json::{Map, Value, json};

use crate::{client::Api, prepare::Secrets, receiver, story::created, terminal};

/// The two cycles the story moves an account between: external id and billing day.
pub const CYCLES: [(&str, u32); 2] = [("MONTHLY-1", 1), ("MONTHLY-15", 15)];
/// Who gets the e-mails.
const FINANCE: &str = "finance@acme.example";

/// Whether e-mail is owed for an event type.
pub fn mailed(event_type: &str) -> bool {
    event_type.starts_with("account.bill_cycle_") || matches!(event_type, "invoice.overdue" | "usage_threshold.exceeded")
}

/// A kind of configuration and what its operations are called.
struct Noun {
    path: &'static str,
    create: &'static str,
    update: &'static str,
    /// Members that no update takes.
    fixed: &'static [&'static str],
    /// What makes one work again that a person, or the gateway, has stopped.
    restart: Option<Restart>,
}

/// An object with `member` at `stopped` works again after the operation.
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

/// Our two subscriptions, by name.
const WEBHOOKS: &str = "dev webhooks";
const MAILS: &str = "dev mails";

struct Setup<'a> {
    api: &'a Api,
    found: Vec<String>,
}

/// Makes what is missing and updates what differs. Nothing is deleted: what an earlier run left to be delivered stays owed.
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

/// An object that stands as it is wanted.
struct Ensured {
    id: String,
    /// Whether it was made just now.
    made: bool,
}

impl Setup<'_> {
    /// Makes the object with this name, or brings the one that is there into the wanted shape. What differs is updated in place, never
    /// deleted and made again: with a subscription its deliveries would go.
    async fn ensure(&mut self, noun: &Noun, wanted: Value, outcome: &str) -> Result<Ensured, String> {
        let name = wanted["name"].as_str().unwrap_or_default().to_owned();
        let Some(there) = self.named(noun, &name).await? else {
            let made = self.api.post(noun.path, &wanted).await?.success(noun.create)?;
            terminal::done(noun.create, outcome);
            return Ok(Ensured { id: created(noun.create, &made)?, made: true });
        };
        let id = there["id"].as_str().unwrap_or_default().to_owned();
        let mut changed = differing(&there, &wanted);
        // A secret is never answered back, so it cannot be compared.
        changed.remove("secret");
        if let Some(fixed) = noun.fixed.iter().find(|member| changed.contains_key(**member)) {
            return Err(format!("'{name}' under {} has another {fixed} than `billwire dev` needs; rename or delete it", noun.path));
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
        Ok(Ensured { id, made: false })
    }

    /// The endpoint of the local receiver, which signs with the secret that the receiver checks by.
    async fn endpoint(&mut self, wanted: Value, secrets: &Secrets) -> Result<String, String> {
        let Ensured { id, made } = self.ensure(&ENDPOINT, wanted, receiver::URL).await?;
        if !made && secrets.webhook_is_new {
            let body = json!({ "secret": secrets.webhook, "overlapSeconds": 0 });
            self.api.post(&format!("{}/{id}/rotate-secret", ENDPOINT.path), &body).await?.success("rotateWebhookSecret")?;
            terminal::done("rotateWebhookSecret", "the receiver has another secret now");
        }
        // Kept only now: a start that is killed before this makes another one and rotates to it.
        secrets.keep_webhook()?;
        Ok(id)
    }

    /// Takes the event types from a subscription that are not wanted any more. A queue or a template is not changed while a
    /// subscription names what would go, and a subscription is not changed to what is not there yet: so what goes, goes first.
    async fn narrow(&mut self, name: &str, wanted: &[&str]) -> Result<(), String> {
        let Some(there) = self.named(&SUBSCRIPTION, name).await? else { return Ok(()) };
        let named = there["eventTypes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let stays: Vec<&Value> = named.iter().filter(|one| wanted.iter().any(|kind| *one == kind)).collect();
        // With none named it would want all of the queue.
        if stays.len() == named.len() || stays.is_empty() {
            return Ok(());
        }
        let id = there["id"].as_str().unwrap_or_default();
        let body = json!({ "eventTypes": stays });
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

/// The members of `wanted` that do not hold of `there`.
fn differing(there: &Value, wanted: &Value) -> Map<String, Value> {
    let members = wanted.as_object().into_iter().flatten();
    members.filter(|(name, value)| !holds(&there[name.as_str()], value)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether `there` is what is wanted. It may have more members: the answer also tells what was not asked for and has its default.
fn holds(there: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Object(members) => there.is_object() && members.iter().all(|(name, value)| holds(&there[name.as_str()], value)),
        _ => there == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_and_differs_is_changed() {
        let there = json!({ "id": "1", "name": "n", "action": { "type": "email", "to": ["a"], "attachEvent": false }, "port": 1 });
        let same = json!({ "name": "n", "action": { "type": "email", "to": ["a"] }, "port": 1 });
        assert!(differing(&there, &same).is_empty(), "defaults that the answer adds are no difference");
        let other = json!({ "name": "n", "action": { "type": "email", "to": ["a", "b"] }, "port": 2, "path": "/p" });
        assert_eq!(differing(&there, &other).keys().collect::<Vec<_>>(), ["action", "path", "port"]);
    }
}
