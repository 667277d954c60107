//! Whether an SMTP account works: a login, or a message that says it is a test.

use billwire_delivery::channel::{RecipientState, Report};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    ids::fresh,
    template::Rendered,
};

use crate::{
    Client, SmtpAccount,
    addressees::{Addressee, Reading, Role},
    reply::{Failure, Stage},
    request::{Identity, Unsendable, compose, envelope, sender},
};

/// How far a probe came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Whether all went well.
    pub works: bool,
    /// The name of what was done last: see [`Stage::name`].
    pub stage: &'static str,
    /// What the server said, or what went wrong.
    pub report: Report,
}

impl Probed {
    fn at(stage: Stage, done: Result<Report, Failure>) -> Self {
        match done {
            Ok(report) => Self { works: true, stage: stage.name(), report },
            Err(failure) => Self { works: false, stage: failure.stage.name(), report: failure.report() },
        }
    }

    fn unsendable(why: &Unsendable) -> Self {
        Self { works: false, stage: Stage::Sender.name(), report: Report::new(None, why.to_string()) }
    }
}

impl Client {
    /// Connects, logs in and names the sender, and sends nothing.
    pub async fn probe(&self, account: &SmtpAccount) -> Probed {
        match sender(account) {
            Ok(from) => Probed::at(Stage::Sender, self.verify(account, &from).await),
            Err(why) => Probed::unsendable(&why),
        }
    }

    /// Sends a message that says it is a test.
    pub async fn send_test(&self, account: &SmtpAccount, to: &str) -> Probed {
        let now = SystemClock.now();
        let id = fresh();
        let identity = Identity { local_id: format!("test.{id}"), thread: None, date: now, boundary: format!("billwire-{}", id.simple()) };
        let people = [Addressee { address: to.to_owned(), name: None, role: Role::To, reading: Reading::default() }];
        let text = format!(
            "This is a test of the SMTP account that sends as {}.\n\nIt was asked for by hand; no event has happened.\n",
            account.from_address
        );
        let rendered = Rendered { subject: "[TEST] This SMTP account works".to_owned(), text, html: None };
        let envelope = compose(&identity, account, &people, rendered, None).and_then(|content| envelope(account, &[&people[0]], content));
        let envelope = match envelope {
            Ok(envelope) => envelope,
            Err(why) => return Probed::unsendable(&why),
        };
        match self.send(account, &envelope).await {
            Ok((recipients, report)) => match recipients.into_iter().find(|one| one.state != RecipientState::Sent) {
                None => Probed::at(Stage::Send, Ok(report)),
                Some(refused) => Probed { works: false, stage: Stage::Send.name(), report: Report::new(refused.status, refused.detail) },
            },
            Err(failure) => Probed::at(Stage::Send, Err(failure)),
        }
    }
}
