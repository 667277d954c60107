//! The channel against an SMTP server that says what a script tells it to.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use billwire_delivery::{
    channel::{Channel, Outcome, Task},
    event::{Action, Event, Subscription},
};
use billwire_schemas::{
    events::envelope::Parameters,
    ids::{DeliveryId, EventId, NotificationTemplateId, SmtpAccountId, SubscriptionId, TenantId, fresh},
    template::Template,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{Accounts, Client, EmailChannel, Password, Security, Settings, SmtpAccount, request};

/// What the server answers where it does not simply agree. `None` after the message: it hangs up.
#[derive(Clone)]
struct Script {
    greeting: &'static str,
    login: &'static str,
    recipient: &'static str,
    message: Option<&'static str>,
    silent_at: Option<&'static str>,
}

const AGREES: Script = Script {
    greeting: "220 scripted",
    login: "235 welcome",
    recipient: "250 ok",
    message: Some("250 2.0.0 queued as 42"),
    silent_at: None,
};

#[derive(Default)]
struct Seen {
    connections: usize,
    commands: Vec<String>,
    messages: Vec<String>,
}

struct Server {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

impl Server {
    async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default() };
        let seen = Arc::clone(&server.seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.lock().unwrap().connections += 1;
                let (script, seen) = (script.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    let _ = converse(stream, &script, &seen).await;
                });
            }
        });
        server
    }

    fn commands(&self) -> Vec<String> {
        self.seen.lock().unwrap().commands.clone()
    }
}

async fn converse(stream: TcpStream, script: &Script, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(format!("{}\r\n", script.greeting).as_bytes()).await?;
    while let Some(line) = lines.next_line().await? {
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        seen.lock().unwrap().commands.push(line);
        if script.silent_at == Some(verb.as_str()) {
            std::future::pending::<()>().await;
        }
        let answer = match verb.as_str() {
            "EHLO" => "250-scripted\r\n250 AUTH PLAIN LOGIN",
            "AUTH" => script.login,
            "RCPT" => script.recipient,
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut message = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    message.push_str(&line);
                    message.push('\n');
                }
                seen.lock().unwrap().messages.push(message);
                let Some(answer) = script.message else { return Ok(()) };
                answer
            }
            "QUIT" => return write.write_all(b"221 bye\r\n").await,
            _ => "250 ok",
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

/// One account and one template, which the test may change while it runs.
#[derive(Clone)]
struct Fixed {
    account: Arc<Mutex<SmtpAccount>>,
    template: Option<Arc<Template>>,
    private: Parameters,
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

    async fn template(&self, _: &TenantId, _: NotificationTemplateId) -> Result<Option<Arc<Template>>, String> {
        Ok(self.template.clone())
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
    }
}

fn template() -> Template {
    Template {
        subject: "{{ account.name }}: new bill cycle".to_owned(),
        text: "Dear {{ account.name }}\n.\nbye".to_owned(),
        html: Some("<p>Dear {{ account.name }}</p>".to_owned()),
    }
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

fn task(account: SmtpAccountId, to: &[&str]) -> Task {
    let event = event(json!({ "account.name": "Acme & Söhne" }));
    let action = Action::Email {
        smtp_account: account,
        template: NotificationTemplateId(fresh()),
        to: to.iter().map(|address| (*address).to_owned()).collect(),
    };
    let subscription = Subscription::to_all(TenantId::default_tenant(), action);
    Task { delivery: DeliveryId::of(event.id, subscription.id), number: 1, event: Arc::new(event), subscription: Arc::new(subscription) }
}

struct Rig {
    server: Server,
    fixed: Fixed,
    channel: EmailChannel<Fixed>,
    task: Task,
}

async fn rig(script: Script) -> Rig {
    let server = Server::start(script).await;
    let account = account(server.port);
    let task = task(account.id, &["ann@example.org", "bob@example.org"]);
    let fixed =
        Fixed { account: Arc::new(Mutex::new(account)), template: Some(Arc::new(template())), private: Parameters::new(), away: false };
    let settings = Settings { timeout: std::time::Duration::from_secs(5), ..Settings::default() };
    let channel = EmailChannel::new(fixed.clone(), Arc::new(Client::new(&settings).unwrap()));
    Rig { server, fixed, channel, task }
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
    let Outcome::Delivered(report) = rig.channel.attempt(&rig.task).await else { panic!("not delivered") };
    assert_eq!((report.status, report.detail.as_str()), (Some(250), "2.0.0 queued as 42"));
    let commands = rig.server.commands();
    assert!(commands.iter().any(|c| c == "RCPT TO:<bob@example.org>"), "{commands:?}");

    let message = rig.server.seen.lock().unwrap().messages[0].clone();
    let id = format!("Message-ID: <{}.{}@acme.example>", rig.task.event.id, rig.task.subscription.id);
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
        assert!(matches!(rig.channel.attempt(&rig.task).await, Outcome::Delivered(_)));
    }
    let seen = rig.server.seen.lock().unwrap();
    assert_eq!((seen.connections, seen.messages.len()), (1, 3));
    assert!(seen.messages.iter().all(|message| *message == seen.messages[0]));
}

#[tokio::test]
async fn a_changed_password_takes_effect_at_once() {
    let rig = rig(AGREES).await;
    rig.channel.attempt(&rig.task).await;
    {
        let mut account = rig.fixed.account.lock().unwrap();
        account.version = 2;
        account.password = Some(Password::new("other"));
        assert!(!format!("{account:?}").contains("other"));
    }
    rig.channel.attempt(&rig.task).await;
    let logins: Vec<String> = rig.server.commands().into_iter().filter(|c| c.starts_with("AUTH")).collect();
    assert_eq!(logins.len(), 2);
    assert_ne!(logins[0], logins[1]);
}

#[tokio::test]
async fn a_temporary_refusal_is_tried_again_and_a_permanent_one_is_not() {
    let busy = rig(Script { recipient: "451 4.3.0 come back later", ..AGREES }).await;
    assert_eq!(retried(&busy.channel.attempt(&busy.task).await), "sending: 451 4.3.0 come back later");

    let unknown = rig(Script { recipient: "550-5.1.1 no such\r\n550 5.1.1 mailbox", ..AGREES }).await;
    let Outcome::GiveUp(report) = unknown.channel.attempt(&unknown.task).await else { panic!("should be final") };
    assert_eq!(report.status, Some(550));
    assert!(report.detail.contains("no such") && report.detail.contains("mailbox"), "{}", report.detail);

    let closing = rig(Script { greeting: "554 no service here", ..AGREES }).await;
    assert_eq!(retried(&closing.channel.attempt(&closing.task).await), "connecting: 554 no service here");

    let locked = rig(Script { login: "535 5.7.8 wrong password", ..AGREES }).await;
    assert_eq!(retried(&locked.channel.attempt(&locked.task).await), "logging in: 535 5.7.8 wrong password");
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_tried_again() {
    let rig = rig(Script { message: None, ..AGREES }).await;
    assert!(retried(&rig.channel.attempt(&rig.task).await).starts_with("sending: "));
    assert_eq!(rig.server.seen.lock().unwrap().messages.len(), 1);

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    rig.fixed.account.lock().unwrap().port = nobody;
    rig.fixed.account.lock().unwrap().version = 2;
    assert!(retried(&rig.channel.attempt(&rig.task).await).starts_with("connecting: "));
}

#[tokio::test]
async fn a_connection_cut_off_by_the_deadline_is_never_used_again() {
    let server = Server::start(Script { silent_at: Some("RCPT"), ..AGREES }).await;
    let account = account(server.port);
    let client = Client::new(&Settings { timeout: std::time::Duration::from_millis(200), ..Settings::default() }).unwrap();
    let task = task(account.id, &["ann@example.org"]);
    let message =
        request::message(&task.event, Parameters::new(), task.subscription.id, &account, &template(), &["ann@example.org".to_owned()])
            .unwrap();
    for tries in 1..=2 {
        let failure = client.send(&account, &message).await.unwrap_err();
        assert_eq!(failure.report().detail, "sending: the server did not answer in time");
        assert_eq!(server.seen.lock().unwrap().connections, tries);
    }
}

#[tokio::test]
async fn nothing_is_said_in_clear_where_tls_was_asked_for() {
    for security in [Security::Starttls, Security::Tls] {
        let rig = rig(AGREES).await;
        rig.fixed.account.lock().unwrap().security = security;
        assert!(retried(&rig.channel.attempt(&rig.task).await).starts_with("connecting: "), "{security:?}");
        let said = rig.server.commands();
        assert!(!said.iter().any(|c| c.starts_with("AUTH") || c.starts_with("MAIL")), "{said:?}");
    }
}

#[tokio::test]
async fn what_we_cannot_look_up_costs_no_try_and_what_is_gone_is_given_up() {
    let Rig { fixed, channel, task, server } = rig(AGREES).await;
    let client = || Arc::new(Client::new(&Settings::default()).unwrap());
    let away = EmailChannel::new(Fixed { away: true, ..fixed.clone() }, client());
    assert!(matches!(away.attempt(&task).await, Outcome::NotTried(_)));
    let bare = EmailChannel::new(Fixed { template: None, ..fixed.clone() }, client());
    assert!(matches!(bare.attempt(&task).await, Outcome::GiveUp(_)));
    fixed.account.lock().unwrap().id = SmtpAccountId(fresh());
    assert!(matches!(channel.attempt(&task).await, Outcome::GiveUp(_)));
    assert_eq!(server.seen.lock().unwrap().connections, 0);
}

#[tokio::test]
async fn what_is_for_email_alone_is_merged_in_when_a_message_is_made() {
    let Rig { fixed, task, server, .. } = rig(AGREES).await;
    assert!(!String::from_utf8_lossy(&task.event.body).contains("contact."), "the event itself does not carry it");
    let template = Template { subject: "News".into(), text: "Dear {{ contact.name }} of {{ account.name }}".into(), html: None };
    let private = Parameters::from([("contact.name".to_owned(), "Ann".into())]);
    let settings = Settings { timeout: std::time::Duration::from_secs(5), ..Settings::default() };
    let client = Arc::new(Client::new(&settings).unwrap());
    let channel = EmailChannel::new(Fixed { template: Some(Arc::new(template)), private, ..fixed }, client);
    assert!(matches!(channel.attempt(&task).await, Outcome::Delivered(_)));
    let sent = server.seen.lock().unwrap().messages.concat();
    assert!(sent.contains("Dear Ann of Acme"), "{sent}");
}

#[test]
fn no_header_can_be_smuggled_in() {
    let honest = account(25);
    let subscription = SubscriptionId(fresh());
    let to = |address: &str| vec![address.to_owned()];
    let try_with = |account: &SmtpAccount, name: &str, to: &[String]| {
        request::message(&event(json!({ "account.name": name })), Parameters::new(), subscription, account, &template(), to)
    };
    assert!(try_with(&honest, "Acme", &to("ann@example.org")).is_ok());
    assert!(try_with(&honest, "Acme\r\nBcc: all@example.org", &to("ann@example.org")).is_err());
    for evil in ["ann@example.org\r\nBcc: all@example.org", "ann@example.org, all@example.org", "Ann <ann@example.org>", "ann", ""] {
        assert!(try_with(&honest, "Acme", &to(evil)).is_err(), "{evil:?}");
    }
    assert!(try_with(&honest, "Acme", &[]).is_err());
    let sly = SmtpAccount { from_name: "Acme\r\nBcc: all@example.org".to_owned(), ..account(25) };
    assert!(try_with(&sly, "Acme", &to("ann@example.org")).is_err());
    let quoted = SmtpAccount { from_name: "Acme\" <all@example.org>, \"".to_owned(), ..account(25) };
    let message = try_with(&quoted, "Acme", &to("ann@example.org")).unwrap();
    assert_eq!(message.envelope().from().map(ToString::to_string), Some("billing@acme.example".to_owned()));
    let text = String::from_utf8(message.formatted()).unwrap();
    let from = text.lines().next().unwrap();
    assert!(from.starts_with("From: ") && from.ends_with(" <billing@acme.example>") && !from.contains("all@"), "{from}");
}

#[test]
fn a_file_of_roots_that_is_none_is_named() {
    let path = std::env::temp_dir().join(format!("billwire-roots-{}", fresh()));
    let settings = Settings { ca_file: Some(path.clone()), ..Settings::default() };
    assert!(Client::new(&settings).unwrap_err().to_string().contains("billwire-roots-"));
    std::fs::write(&path, "not a certificate").unwrap();
    assert!(Client::new(&settings).unwrap_err().to_string().contains("not certificates"));
    std::fs::remove_file(&path).unwrap();
}
