//! What an answer means. Pure.

use billwire_delivery::channel::{FailureScope, Outcome, Recipient, RecipientState, Report};

/// How far an attempt came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Finding the server's address.
    Resolve,
    /// Connecting.
    Connect,
    /// STARTTLS and TLS.
    Tls,
    /// The greeting and EHLO.
    Greeting,
    /// Logging in.
    Login,
    /// Naming the sender.
    Sender,
    /// Naming the recipients, sending the message.
    Send,
}

impl Stage {
    /// What was being done, for people.
    pub fn doing(self) -> &'static str {
        match self {
            Self::Resolve | Self::Connect => "connecting",
            Self::Tls => "securing the connection",
            Self::Greeting => "greeting",
            Self::Login => "logging in",
            Self::Sender => "naming the sender",
            Self::Send => "sending",
        }
    }

    /// Its name in answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "name",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
            Self::Login => "login",
            Self::Sender => "sender",
            Self::Send => "send",
        }
    }
}

/// What stopped an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The server refused.
    Answer {
        /// The reply's code.
        code: u16,
        /// The reply's text.
        words: String,
    },
    /// No connection, or it broke off.
    Network,
    /// TLS could not be established.
    Tls(String),
    /// The server's reply was not SMTP, or incomplete.
    Garbled,
    /// It took too long.
    Timeout,
    /// The server lacks something the account needs.
    Unsuitable(String),
    /// No message can be made of this event.
    Unsendable(String),
}

impl Cause {
    /// The failure of an attempt that came as far as `stage`.
    pub fn at(self, stage: Stage) -> Failure {
        Failure { stage, cause: self }
    }
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How far it came.
    pub stage: Stage,
    /// What stopped it.
    pub cause: Cause,
}

/// Codes that ask for a (better) login, RFC 4954 section 6: about the account, whenever they come.
const LOGIN_WANTED: [u16; 4] = [530, 534, 535, 538];
/// "Service not available, closing": the server wants to be left alone, RFC 5321 section 3.8.
pub(crate) const CLOSING: u16 = 421;

impl Failure {
    /// Whether no further attempt can succeed: there is no message, or the server refused it, or its sender, for good.
    ///
    /// A refusal before that is about the account or the server, which a person can mend in the meantime.
    pub fn is_final(&self) -> bool {
        match &self.cause {
            Cause::Unsendable(_) => true,
            Cause::Answer { code, .. } => {
                matches!(self.stage, Stage::Sender | Stage::Send) && (500..600).contains(code) && !LOGIN_WANTED.contains(code)
            }
            _ => false,
        }
    }

    /// What failed: the server or the account, or this message alone.
    pub fn failure_scope(&self) -> FailureScope {
        match (&self.cause, self.stage) {
            (Cause::Unsendable(_), _) => FailureScope::Delivery,
            (Cause::Answer { code: CLOSING, .. }, _) => FailureScope::Overload,
            (Cause::Answer { code, .. }, Stage::Sender | Stage::Send) if !LOGIN_WANTED.contains(code) => FailureScope::Delivery,
            _ => FailureScope::Target,
        }
    }

    /// For people.
    pub fn report(&self) -> Report {
        let doing = self.stage.doing();
        match &self.cause {
            Cause::Answer { code, words } => Report::new(Some(*code), format!("{doing}: {code} {words}")),
            Cause::Network if self.stage == Stage::Resolve => {
                Report::new(None, format!("{doing}: the server's name has no usable address"))
            }
            Cause::Network => Report::new(None, format!("{doing}: no connection, or it broke off")),
            Cause::Tls(why) => Report::new(None, format!("{doing}: {why}")),
            Cause::Garbled => Report::new(None, format!("{doing}: the server broke off or did not speak SMTP")),
            Cause::Timeout => Report::new(None, format!("{doing}: the server did not answer in time")),
            Cause::Unsuitable(what) => Report::new(None, format!("{doing}: {what}")),
            Cause::Unsendable(why) => Report::new(None, why),
        }
    }
}

/// The enhanced code (RFC 3463) that a reply's text begins with.
pub(crate) fn enhanced(words: &str) -> Option<&str> {
    let word = words.split(' ').next()?;
    let mut parts = word.split('.');
    let number = |part: Option<&str>| part.is_some_and(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    let class = matches!(parts.next(), Some("2" | "4" | "5"));
    (class && number(parts.next()) && number(parts.next()) && parts.next().is_none()).then_some(word)
}

/// What the server said to one recipient's address. 552 without an enhanced code was RFC 821's code for too many recipients, which is
/// temporary (RFC 5321 section 4.5.3.1.10).
pub fn refusal(address: &str, code: u16, words: &str) -> Recipient {
    let too_many = code == 552 && enhanced(words).is_none_or(|code| code.ends_with(".5.3"));
    let state = if (500..600).contains(&code) && !too_many { RecipientState::Refused } else { RecipientState::Deferred };
    let report = Report::new(Some(code), words);
    Recipient { address: address.to_owned(), state, status: report.status, detail: report.detail }
}

/// Whether the server accepts no more recipients for this message, though it may for another one.
pub fn is_one_too_many(recipient: &Recipient) -> bool {
    recipient.state == RecipientState::Deferred
        && matches!(recipient.status, Some(452 | 552))
        && enhanced(&recipient.detail).is_none_or(|code| code.ends_with(".5.3"))
}

/// Whether a refusal says that there is no such mailbox, so that nothing should be sent there again: 550, 551 or 553, unless the enhanced
/// code (RFC 3463) says that it was policy, or that the mailbox is merely full or disabled for now.
pub fn is_hard(recipient: &Recipient) -> bool {
    let enhanced = |prefix: &str| recipient.detail.starts_with(prefix);
    recipient.state == RecipientState::Refused
        && matches!(recipient.status, Some(550 | 551 | 553))
        && !enhanced("5.7.")
        && !enhanced("5.2.")
        // RFC 6531 section 3.5: the server cannot carry the address, wherever it leads.
        && !enhanced("5.6.7")
}

/// The outcome of an attempt: of each of its recipients, and of the delivery with them.
///
/// `last`: the server's answer to the last message, or the failure of a message that decides whether there is another attempt.
pub fn outcome(recipients: Vec<Recipient>, last: Result<Report, Failure>, sent_before: bool) -> Outcome {
    let find = |state: RecipientState| recipients.iter().find(|one| one.state == state);
    let about = |one: &Recipient| {
        let status = one.status.map(|status| format!("{status} ")).unwrap_or_default();
        Report::new(one.status, format!("{}: {status}{}", one.address, one.detail))
    };
    let with = |report: Report| Report { recipients: recipients.clone(), ..report };
    let retry = |report, failure_scope| Outcome::Retry { report: with(report), after: None, failure_scope };
    match (last, find(RecipientState::Deferred)) {
        (Err(failure), _) if !failure.is_final() => retry(failure.report(), failure.failure_scope()),
        (_, Some(deferred)) => retry(about(deferred), FailureScope::Delivery),
        (Err(failure), None) => Outcome::GiveUp(with(failure.report())),
        (Ok(report), None) => {
            if let Some(refused) = find(RecipientState::Refused) {
                return Outcome::GiveUp(with(about(refused)));
            }
            if sent_before || find(RecipientState::Sent).is_some() {
                return Outcome::Delivered(with(report));
            }
            Outcome::GiveUp(with(Report::new(None, "every recipient is inactive or on the suppression list")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(stage: Stage, code: u16) -> Outcome {
        outcome(Vec::new(), Err(Failure { stage, cause: Cause::Answer { code, words: "so it is".to_owned() } }), false)
    }

    #[test]
    fn only_a_permanent_refusal_of_the_message_or_its_sender_is_final() {
        for code in [550, 552, 553, 554] {
            let Outcome::GiveUp(report) = answered(Stage::Send, code) else { panic!("{code} should be final") };
            assert_eq!((report.status, report.detail), (Some(code), format!("sending: {code} so it is")));
        }
        for (stage, code, expected) in [
            (Stage::Send, 421, FailureScope::Overload),
            (Stage::Send, 451, FailureScope::Delivery),
            (Stage::Send, 452, FailureScope::Delivery),
            (Stage::Send, 530, FailureScope::Target),
            (Stage::Sender, 535, FailureScope::Target),
            (Stage::Sender, 451, FailureScope::Delivery),
            (Stage::Login, 535, FailureScope::Target),
            (Stage::Login, 454, FailureScope::Target),
            (Stage::Greeting, 554, FailureScope::Target),
            (Stage::Greeting, 421, FailureScope::Overload),
        ] {
            let Outcome::Retry { failure_scope, .. } = answered(stage, code) else { panic!("{stage:?} {code}") };
            assert_eq!(failure_scope, expected, "{stage:?} {code}");
        }
    }

    #[test]
    fn a_message_that_cannot_be_made_is_given_up_without_blame() {
        let failure = Cause::Unsendable("the template fails".to_owned()).at(Stage::Send);
        assert_eq!(failure.failure_scope(), FailureScope::Delivery);
        let given_up = outcome(Vec::new(), Err(failure), false);
        assert!(matches!(given_up, Outcome::GiveUp(report) if report.detail == "the template fails"));
    }

    #[test]
    fn too_many_recipients_is_temporary_under_its_old_code_too() {
        for (code, words, deferred, one_too_many) in [
            (452, "4.5.3 too many recipients", true, true),
            (452, "too many recipients", true, true),
            (552, "too many recipients", true, true),
            (552, "", true, true),
            (552, "5.5.3 too many recipients", true, true),
            (552, "5.2.2 mailbox full", false, false),
            (452, "4.2.2 mailbox full", true, false),
            (450, "later", true, false),
            (550, "no such user", false, false),
        ] {
            let one = refusal("ann@example.org", code, words);
            assert_eq!((one.state == RecipientState::Deferred, is_one_too_many(&one)), (deferred, one_too_many), "{code} {words}");
        }
    }

    #[test]
    fn whatever_breaks_underneath_is_tried_again() {
        for cause in [Cause::Network, Cause::Tls("x".into()), Cause::Garbled, Cause::Timeout, Cause::Unsuitable("no SMTPUTF8".to_owned())] {
            let tried = outcome(Vec::new(), Err(Failure { stage: Stage::Send, cause }), false);
            assert!(matches!(tried, Outcome::Retry { failure_scope: FailureScope::Target, .. }));
        }
    }

    fn one(state: RecipientState) -> Recipient {
        Recipient { address: "ann@example.org".into(), state, status: Some(250), detail: String::new() }
    }

    #[test]
    fn a_delivery_is_done_when_each_recipient_is_and_waits_or_fails_with_one_that_does() {
        use RecipientState::{Deferred, Refused, Sent, Suppressed};
        let of =
            |states: &[RecipientState], before| outcome(states.iter().map(|state| one(*state)).collect(), Ok(Report::default()), before);
        assert!(matches!(of(&[Sent, Suppressed], false), Outcome::Delivered(_)));
        assert!(matches!(of(&[Sent, Deferred, Refused], false), Outcome::Retry { failure_scope: FailureScope::Delivery, .. }));
        assert!(matches!(of(&[Sent, Refused], false), Outcome::GiveUp(_)));
        assert!(matches!(of(&[Suppressed], false), Outcome::GiveUp(_)));
        assert!(matches!(of(&[], true), Outcome::Delivered(_)), "all were sent at an earlier try");
        assert!(matches!(of(&[], false), Outcome::GiveUp(_)));
    }

    #[test]
    fn only_a_mailbox_that_does_not_exist_is_suppressed() {
        for (code, words, hard) in [
            (550, "5.1.1 no such user", true),
            (550, "no such user", true),
            (553, "5.1.3 bad address", true),
            (550, "5.7.1 looks like spam", false),
            (550, "5.2.2 mailbox full", false),
            (552, "5.2.2 mailbox full", false),
            (554, "5.3.0 no", false),
            (553, "5.6.7 not ASCII", false),
            (450, "4.2.1 later", false),
        ] {
            assert_eq!(is_hard(&refusal("ann@example.org", code, words)), hard, "{code} {words}");
        }
    }
}
