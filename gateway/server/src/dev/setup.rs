//! What the story stands on, made through the public API at the first start and found again at later ones.

use billwire_schemas::events::catalogue;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{
    client::Api,
    prepare::Secrets,
    receiver,
    story::{Told, created, told},
    terminal::Terminal,
};

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
    delete: &'static str,
}

const ENDPOINT: Noun = Noun { path: "/webhook-endpoints", create: "createWebhookEndpoint", delete: "deleteWebhookEndpoint" };
const SMTP: Noun = Noun { path: "/smtp-accounts", create: "createSmtpAccount", delete: "deleteSmtpAccount" };
const TEMPLATE: Noun = Noun { path: "/notification-templates", create: "createNotificationTemplate", delete: "deleteNotificationTemplate" };
const QUEUE: Noun = Noun { path: "/queues", create: "createQueue", delete: "deleteQueue" };
const SUBSCRIPTION: Noun = Noun { path: "/subscriptions", create: "createSubscription", delete: "deleteSubscription" };

/// Our two subscriptions, by name.
const WEBHOOKS: &str = "dev webhooks";
const MAILS: &str = "dev mails";

struct Setup<'a> {
    api: &'a Api,
    terminal: Terminal,
    shift: TimeDelta,
    found: Vec<String>,
}

/// Makes or finds everything; gives the events that this caused.
///
/// # Errors
/// The first refusal.
pub async fn run(api: &Api, terminal: Terminal, secrets: &Secrets, mailbox_port: u16, shift: TimeDelta) -> Result<Vec<Told>, String> {
    let mut setup = Setup { api, terminal, shift, found: Vec::new() };
    let all: Vec<&str> = catalogue::all().map(|event| event.name).collect();
    let bill_cycle_events: Vec<&str> = all.iter().copied().filter(|name| mailed(name)).collect();
    let endpoint = json!({ "name": "dev receiver", "url": receiver::URL, "path": receiver::PATH, "secret": secrets.webhook });
    let endpoint = setup.ensure(&ENDPOINT, endpoint, receiver::URL, secrets.webhook_is_new).await?;
    let smtp = json!({ "name": "dev mailbox", "server": "127.0.0.1", "port": mailbox_port, "security": "none",
                       "fromName": "Acme Billing", "fromAddress": "billing@acme.example" });
    let smtp = setup.ensure(&SMTP, smtp, &format!("the local mailbox, 127.0.0.1:{mailbox_port}"), false).await?;
    let template = json!({ "name": "dev bill cycle news", "eventTypes": bill_cycle_events, "subject": "{{ event.name }}: {{ account.name }}",
                           "text": include_str!("letter.txt"), "html": include_str!("letter.html") });
    let template = setup.ensure(&TEMPLATE, template, "subject, text and HTML with contextual parameters", false).await?;
    let queue = json!({ "name": "everything", "mode": "in_order", "eventTypes": all });
    let queue = setup.ensure(&QUEUE, queue, &format!("everything: in order, all {} event types", catalogue::all().count()), false).await?;
    let action = json!({ "type": "webhook", "webhookEndpointId": endpoint });
    let webhooks = json!({ "name": WEBHOOKS, "queueId": queue, "action": action });
    setup.ensure(&SUBSCRIPTION, webhooks, "every event as a signed webhook", false).await?;
    let action = json!({ "type": "email", "smtpAccountId": smtp, "notificationTemplateId": template, "to": [FINANCE] });
    let mails = json!({ "name": MAILS, "queueId": queue, "eventTypes": bill_cycle_events, "action": action });
    setup.ensure(&SUBSCRIPTION, mails, &format!("bill cycle events by e-mail to {FINANCE}"), false).await?;
    // After the subscriptions, so that they are told of the cycles too.
    let mut events = Vec::new();
    for (external_id, day) in CYCLES {
        events.extend(setup.bill_cycle(external_id, day).await?);
    }
    if !setup.found.is_empty() {
        terminal.done("found again", &setup.found.join(", "));
    }
    Ok(events)
}

impl Setup<'_> {
    /// The id of the object with this name: the one that is there, if it is as wanted, or a new one. One that differs (another
    /// mailbox port, an event type more in the catalogue) gives way, after the subscriptions that stand on it.
    async fn ensure(&mut self, noun: &Noun, wanted: Value, outcome: &str, renew: bool) -> Result<String, String> {
        let name = wanted["name"].as_str().unwrap_or_default().to_owned();
        if let Some(there) = self.named(noun, &name).await? {
            let id = there["id"].as_str().unwrap_or_default().to_owned();
            // A secret is never answered back, so it cannot be compared.
            let as_wanted = wanted.as_object().into_iter().flatten().all(|(field, value)| field == "secret" || there[field] == *value);
            if as_wanted && !renew {
                self.found.push(name);
                return Ok(id);
            }
            for subscription in [WEBHOOKS, MAILS] {
                if let Some(there) = self.named(&SUBSCRIPTION, subscription).await? {
                    self.delete(&SUBSCRIPTION, there["id"].as_str().unwrap_or_default(), subscription).await?;
                }
            }
            if noun.path != SUBSCRIPTION.path {
                self.delete(noun, &id, &name).await?;
            }
        }
        let made = self.api.post(noun.path, &wanted).await?.success(noun.create)?;
        self.terminal.done(noun.create, outcome);
        created(noun.create, &made)
    }

    async fn delete(&self, noun: &Noun, id: &str, name: &str) -> Result<(), String> {
        self.api.delete(&format!("{}/{id}", noun.path)).await?.success(noun.delete)?;
        self.terminal.done(noun.delete, &format!("{name}: made anew, since what it stood on has changed"));
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

    async fn bill_cycle(&mut self, external_id: &str, day: u32) -> Result<Vec<Told>, String> {
        let there = self.api.get(&format!("/bill-cycles/{external_id}")).await?;
        if there.status != 404 {
            there.success("getBillCycle")?;
            self.found.push(external_id.to_owned());
            return Ok(Vec::new());
        }
        let wanted = json!({ "externalId": external_id, "name": format!("Monthly on day {day}"), "period": "month", "billingDay": day });
        let made = self.api.post("/bill-cycles", &wanted).await?.success("createBillCycle")?;
        self.terminal.done("createBillCycle", &format!("{external_id}: monthly, billed on day {day}"));
        told("createBillCycle", &made, self.shift)
    }
}
