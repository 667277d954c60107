//! The channel against an SMTP server that says what a script tells it to.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex},
};

mod messages;
mod odd_servers;
mod server;
mod settings;

use async_trait::async_trait;
use billwire_delivery::{
    channel::{Attempt, Channels, FailureScope, Outcome, Recipient, RecipientState},
    event::{Event, Subscription},
};
use billwire_schemas::{
    events::envelope::Parameters,
    ids::{DeliveryId, EventId, NotificationTemplateId, SmtpAccountId, SubscriptionId, SystemUserId, TenantId, fresh},
    recipient::Recipient as To,
    template::{RenderError, Rendered, Rendering, Template, Translated},
};
use chrono_tz::Tz;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::server::{AGREES, Script, Server};
use crate::{
    Accounts, Client, EmailAction, EmailChannel, Password, Readers, Security, Settings, SmtpAccount, SystemUser,
    addressees::{Addressee, Reading, Role},
    request::{self, Identity},
};

/// One account and one template, which the test may change while it runs.
#[derive(Clone)]
struct Fixed {
    account: Arc<Mutex<SmtpAccount>>,
    template: Option<Arc<Translated>>,
    private: Parameters,
    users: HashMap<SystemUserId, SystemUser>,
    earlier: Arc<Mutex<Vec<Recipient>>>,
    suppressed: Arc<Mutex<HashSet<String>>>,
    away: bool,
}

#[async_trait]
impl Accounts for Fixed {
    async fn smtp_account(&self, _: &TenantId, id: SmtpAccountId) -> Result<Option<Arc<SmtpAccount>>, String> {
        if self.away {
            return Err("the database is away".to_owned());
        }
        let account = self.account.lock().unwrap().clone();
        Ok((account.id == id).then(|| Arc::new(account)))
    }

    async fn render(&self, _: &TenantId, rendering: Rendering) -> Result<Result<Rendered, RenderError>, String> {
        Ok(rendering.run(|_| ()))
    }

    async fn template(&self, _: &TenantId, _: NotificationTemplateId) -> Result<Option<Arc<Translated>>, String> {
        Ok(self.template.clone())
    }

    async fn readers(&self, _: &TenantId) -> Result<Arc<Readers>, String> {
        Ok(Arc::new(Readers { users: self.users.clone(), time_zone: Tz::UTC }))
    }

    async fn earlier(&self, _: DeliveryId) -> Result<Vec<Recipient>, String> {
        Ok(self.earlier.lock().unwrap().clone())
    }

    async fn suppressed(&self, _: &TenantId, addresses: &[String]) -> Result<HashSet<String>, String> {
        let suppressed = self.suppressed.lock().unwrap();
        Ok(addresses.iter().map(|address| address.to_lowercase()).filter(|address| suppressed.contains(address)).collect())
    }

    async fn suppress(&self, _: &TenantId, _: DeliveryId, refused: &Recipient) -> Result<(), String> {
        self.suppressed.lock().unwrap().insert(refused.address.to_lowercase());
        Ok(())
    }

    async fn private_parameters(&self, _: &TenantId, _: EventId) -> Result<Parameters, String> {
        Ok(self.private.clone())
    }
}

fn account(port: u16) -> SmtpAccount {
    SmtpAccount {
        id: SmtpAccountId(fresh()),
        version: 1,
        server: "127.0.0.1".to_owned(),
        port,
        security: Security::None,
        from_name: "Acmé Billing".to_owned(),
        from_address: "billing@acme.example".to_owned(),
        username: Some("billing".to_owned()),
        password: Some(Password::new("hunter2")),
        connections: 4,
        recipients: 100,
    }
}

fn template() -> Translated {
    let parts = Template {
        subject: "{{ account.name }}: new bill cycle".to_owned(),
        text: "Dear {{ account.name }}\n.\nbye".to_owned(),
        html: Some("<p>Dear {{ account.name }}</p>".to_owned()),
    };
    let german = Template { subject: "Neu".to_owned(), text: "Guten Tag, {{ account.name }}".to_owned(), html: None };
    Translated { language: "en".to_owned(), parts, translations: BTreeMap::from([("de".to_owned(), german)]) }
}

fn event(parameters: Value) -> Event {
    let (id, account) = (EventId(fresh()), fresh());
    let body = json!({
        "specversion": "1.0", "id": id, "source": "/tenants/default", "type": "account.bill_cycle_changed",
        "subject": account.to_string(), "time": "2027-01-15T09:30:00Z", "datacontenttype": "application/json",
        "dataschema": "urn:billwire:account.bill_cycle_changed:v1", "partitionkey": account.to_string(),
        "sequence": "00000000000000000001", "transactionid": fresh().to_string(),
        "data": {
            "object": { "type": "account", "id": account.to_string(), "version": 2, "action": "updated" },
            "parameters": parameters,
        },
    });
    Event {
        id,
        tenant: TenantId::default_tenant(),
        kind: "account.bill_cycle_changed".to_owned(),
        key: account.into(),
        sequence: 1,
        position: 1,
        body: body.to_string().into_bytes().into(),
    }
}

fn attempt(account: SmtpAccountId, to: &[&str]) -> Attempt {
    let action = EmailAction {
        smtp_account: account,
        template: NotificationTemplateId(fresh()),
        to: to.iter().map(|address| To::Address((*address).to_owned())).collect(),
        cc: Vec::new(),
        bcc: Vec::new(),
        attach_event: false,
    };
    task_of(action)
}

fn task_of(action: EmailAction) -> Attempt {
    let event = event(json!({ "account.id": "0198c0de-0000-7000-8000-000000000001", "account.name": "Acme & Söhne" }));
    let subscription = Subscription::to_all(TenantId::default_tenant(), action);
    Attempt {
        delivery: DeliveryId::of(event.id, subscription.id),
        number: 1,
        forgiven: 0,
        event: Arc::new(event),
        subscription: Arc::new(subscription),
    }
}

fn registered(fixed: Fixed, client: Client) -> Channels {
    Channels::default().with(Arc::new(EmailChannel::new(fixed, Arc::new(client))))
}

/// For servers of this machine, which are not public.
fn settings() -> Settings {
    Settings { timeout: std::time::Duration::from_secs(5), public_only: false, ..Settings::default() }
}

struct Rig {
    server: Server,
    fixed: Fixed,
    channel: Channels,
    attempt: Attempt,
}

async fn rig(script: Script) -> Rig {
    let server = Server::start(script).await;
    let account = account(server.port);
    let attempt = attempt(account.id, &["ann@example.org", "bob@example.org"]);
    let fixed = Fixed {
        account: Arc::new(Mutex::new(account)),
        template: Some(Arc::new(template())),
        private: Parameters::new(),
        users: HashMap::new(),
        earlier: Arc::default(),
        suppressed: Arc::default(),
        away: false,
    };
    let channel = registered(fixed.clone(), Client::new(&settings()).unwrap());
    Rig { server, fixed, channel, attempt }
}

fn retried(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Retry { report, .. } => &report.detail,
        other => panic!("should be tried again: {other:?}"),
    }
}

#[tokio::test]
async fn an_accepted_message_is_delivered_with_the_servers_words() {
    let rig = rig(AGREES).await;
    let Outcome::Delivered(report) = rig.channel.attempt(&rig.attempt).await else { panic!("not delivered") };
    assert_eq!((report.status, report.detail.as_str()), (Some(250), "2.0.0 queued as 42"));
    let commands = rig.server.commands();
    assert!(commands.iter().any(|c| c == "RCPT TO:<bob@example.org>"), "{commands:?}");

    let message = rig.server.seen.lock().unwrap().messages[0].clone();
    let id = format!("Message-ID: <{}.{}@acme.example>", rig.attempt.event.id, rig.attempt.subscription.id);
    for expected in [
        id.as_str(),
        "Date: Fri, 15 Jan 2027 09:30:00 +0000",
        "Auto-Submitted: auto-generated",
        "To: ann@example.org, bob@example.org",
        "Content-Type: multipart/alternative",
        "MIME-Version: 1.0",
        "<billing@acme.example>",
        "<p>Dear Acme &amp; S",
    ] {
        assert!(message.contains(expected), "{expected}\n{message}");
    }
}

#[tokio::test]
async fn every_try_is_the_same_message_over_the_same_connection() {
    let rig = rig(AGREES).await;
    for _ in 0..3 {
        assert!(matches!(rig.channel.attempt(&rig.attempt).await, Outcome::Delivered(_)));
    }
    let seen = rig.server.seen.lock().unwrap();
    assert_eq!((seen.connections, seen.messages.len()), (1, 3));
    assert!(seen.messages.iter().all(|message| *message == seen.messages[0]));
}

#[tokio::test]
async fn a_changed_password_takes_effect_at_once() {
    let rig = rig(AGREES).await;
    rig.channel.attempt(&rig.attempt).await;
    {
        let mut account = rig.fixed.account.lock().unwrap();
        account.version = 2;
        account.password = Some(Password::new("other"));
        assert!(!format!("{account:?}").contains("other"));
    }
    rig.channel.attempt(&rig.attempt).await;
    let logins: Vec<String> = rig.server.commands().into_iter().filter(|c| c.starts_with("AUTH")).collect();
    assert_eq!(logins.len(), 2);
    assert_ne!(logins[0], logins[1]);
}

fn states(outcome: &Outcome) -> Vec<(&str, RecipientState, Option<u16>)> {
    let (Outcome::Delivered(report) | Outcome::GiveUp(report) | Outcome::Retry { report, .. }) = outcome else { panic!("{outcome:?}") };
    report.recipients.iter().map(|one| (one.address.as_str(), one.state, one.status)).collect()
}

#[tokio::test]
async fn each_recipient_has_a_fate_of_its_own_and_nobody_gets_it_twice() {
    use RecipientState::{Deferred, Refused, Sent, Suppressed};
    let fates: &[(&str, &str)] = &[("bob@", "550-5.1.1 no such\r\n550 5.1.1 mailbox"), ("cy@", "452 4.2.2 later")];
    let mut rig = rig(Script { recipients: fates, ..AGREES }).await;
    rig.attempt = attempt(rig.fixed.account.lock().unwrap().id, &["ann@example.org", "bob@example.org", "cy@example.org"]);
    let first = rig.channel.attempt(&rig.attempt).await;
    assert_eq!(
        states(&first),
        [("ann@example.org", Sent, None), ("bob@example.org", Refused, Some(550)), ("cy@example.org", Deferred, Some(452))]
    );
    let Outcome::Retry { report, failure_scope: FailureScope::Delivery, .. } = first else { panic!("{first:?}") };
    assert!(report.detail.contains("cy@example.org: 452 4.2.2 later"), "{}", report.detail);

    *rig.fixed.earlier.lock().unwrap() = report.recipients;
    rig.attempt.number = 2;
    let second = rig.channel.attempt(&rig.attempt).await;
    assert_eq!(states(&second), [("bob@example.org", Refused, Some(550)), ("cy@example.org", Deferred, Some(452))]);
    rig.attempt.forgiven = 1;
    let anew = rig.channel.attempt(&rig.attempt).await;
    assert_eq!(states(&anew), [("bob@example.org", Suppressed, None), ("cy@example.org", Deferred, Some(452))]);
    for (address, asked) in [("ann@", 1), ("bob@", 1), ("cy@", 3)] {
        let times = rig.server.commands().into_iter().filter(|said| said.contains(&format!("RCPT TO:<{address}"))).count();
        assert_eq!(times, asked, "{address}");
    }
    assert_eq!(rig.server.seen.lock().unwrap().messages.len(), 1, "nothing was sent to nobody");
}

#[tokio::test]
async fn a_refusal_for_good_is_a_dead_letter_with_the_servers_words() {
    let rig = rig(Script { recipients: &[("bob@", "554 5.7.1 you are not welcome")], ..AGREES }).await;
    let Outcome::GiveUp(report) = rig.channel.attempt(&rig.attempt).await else { panic!("should be final") };
    assert_eq!((report.status, report.detail.as_str()), (Some(554), "bob@example.org: 554 5.7.1 you are not welcome"));
    assert!(rig.fixed.suppressed.lock().unwrap().is_empty(), "policy says nothing of the mailbox");

    let full = self::rig(Script { message: Some("552 5.3.4 too big"), ..AGREES }).await;
    let refused = full.channel.attempt(&full.attempt).await;
    assert!(matches!(&refused, Outcome::GiveUp(report) if report.detail == "sending: 552 5.3.4 too big"), "{refused:?}");
    assert!(states(&refused).iter().all(|(_, state, _)| *state == RecipientState::Refused));

    let sender = self::rig(Script { sender: "553 5.1.8 who are you", ..AGREES }).await;
    let refused = sender.channel.attempt(&sender.attempt).await;
    assert!(matches!(&refused, Outcome::GiveUp(report) if report.detail == "naming the sender: 553 5.1.8 who are you"), "{refused:?}");
}

#[tokio::test]
async fn trouble_with_the_server_is_told_of_with_its_stage_and_blamed_on_it() {
    for (script, detail, failure_scope) in [
        (Script { greeting: "554 no service here", ..AGREES }, "greeting: 554 no service here", FailureScope::Target),
        (Script { login: "535 5.7.8 wrong password", ..AGREES }, "logging in: 535 5.7.8 wrong password", FailureScope::Target),
        (Script { login: "421 4.7.0 too many", ..AGREES }, "logging in: 421 4.7.0 too many", FailureScope::Overload),
        (Script { recipients: &[("ann@", "421 4.3.2 closing")], ..AGREES }, "sending: 421 4.3.2 closing", FailureScope::Overload),
        (Script { message: Some("451 4.3.0 come back"), ..AGREES }, "sending: 451 4.3.0 come back", FailureScope::Delivery),
        (Script { message: None, ..AGREES }, "sending: the server broke off or did not speak SMTP", FailureScope::Target),
    ] {
        let rig = rig(script).await;
        let outcome = rig.channel.attempt(&rig.attempt).await;
        assert_eq!(retried(&outcome), detail);
        assert!(matches!(outcome, Outcome::Retry { failure_scope: found, .. } if found == failure_scope), "{detail}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_tried_again() {
    let rig = rig(Script { message: None, ..AGREES }).await;
    assert!(retried(&rig.channel.attempt(&rig.attempt).await).starts_with("sending: "));
    assert_eq!(rig.server.seen.lock().unwrap().messages.len(), 1);

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    rig.fixed.account.lock().unwrap().port = nobody;
    rig.fixed.account.lock().unwrap().version = 2;
    assert_eq!(retried(&rig.channel.attempt(&rig.attempt).await), "connecting: no connection, or it broke off");
    rig.fixed.account.lock().unwrap().server = "nowhere.invalid".to_owned();
    rig.fixed.account.lock().unwrap().version = 3;
    assert_eq!(retried(&rig.channel.attempt(&rig.attempt).await), "connecting: the server's name has no usable address");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_lay_idle_costs_nothing() {
    let rig = rig(AGREES).await;
    rig.channel.attempt(&rig.attempt).await;
    rig.server.closing.notify_waiters();
    tokio::task::yield_now().await;
    let again = rig.channel.attempt(&rig.attempt).await;
    assert!(matches!(again, Outcome::Delivered(_)), "{again:?}");
    assert_eq!(rig.server.seen.lock().unwrap().connections, 2);
}

#[tokio::test]
async fn a_server_that_takes_no_more_on_an_old_connection_gets_a_new_one_and_is_not_overloaded() {
    let rig = rig(Script { messages_max: 1, ..AGREES }).await;
    for connections in 1..=2 {
        let tried = rig.channel.attempt(&rig.attempt).await;
        assert!(matches!(tried, Outcome::Delivered(_)), "{tried:?}");
        assert_eq!(rig.server.seen.lock().unwrap().connections, connections);
    }
}

#[tokio::test]
async fn unless_the_operator_allows_it_no_server_is_dialled_that_is_not_public() {
    let server = Server::start(AGREES).await;
    let client = Client::new(&Settings::default()).unwrap();
    for name in ["127.0.0.1", "localhost", "::1", "0x7f.1", "2130706433", "127.1", "0", "nowhere.invalid"] {
        let account = SmtpAccount { server: name.to_owned(), ..account(server.port) };
        let probed = client.probe(&account).await;
        assert_eq!((probed.stage, probed.report.detail.as_str()), ("name", "connecting: the server's name has no usable address"));
    }
    assert_eq!(server.seen.lock().unwrap().connections, 0);
}

#[tokio::test]
async fn a_connection_cut_off_by_the_deadline_is_never_used_again() {
    let server = Server::start(Script { silent_at: Some("RCPT"), ..AGREES }).await;
    let account = account(server.port);
    // Long enough to come as far as RCPT on a busy machine.
    let client = Client::new(&Settings { timeout: std::time::Duration::from_millis(1500), ..settings() }).unwrap();
    let envelope = messages::envelope(&account, "Acme", "ann@example.org").unwrap();
    for tries in 1..=2 {
        let failure = client.send(&account, &envelope).await.unwrap_err();
        assert_eq!(failure.report().detail, "sending: the server did not answer in time");
        assert_eq!(server.seen.lock().unwrap().connections, tries);
    }
}

#[tokio::test]
async fn nothing_is_said_in_clear_where_tls_was_asked_for() {
    const OFFERS: &str = "250-scripted\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN";
    let injected = Script { offers: OFFERS, starttls: "220 go on\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 ok", ..AGREES };
    for (security, script, why) in [
        (Security::Starttls, AGREES, "the server does not offer STARTTLS"),
        (Security::Starttls, Script { offers: OFFERS, starttls: "454 4.7.0 not now", ..AGREES }, "454 4.7.0 not now"),
        (Security::Starttls, Script { offers: OFFERS, ..AGREES }, "the connection broke off during the handshake"),
        (Security::Starttls, injected, "someone put words behind the server's consent to STARTTLS"),
        (Security::Tls, AGREES, "the server does not speak TLS here"),
    ] {
        let rig = rig(script).await;
        rig.fixed.account.lock().unwrap().security = security;
        let outcome = rig.channel.attempt(&rig.attempt).await;
        assert_eq!(retried(&outcome), format!("securing the connection: {why}"));
        let said = rig.server.commands();
        assert!(!said.iter().any(|c| c.starts_with("AUTH") || c.starts_with("MAIL")), "{said:?}");
    }
}
