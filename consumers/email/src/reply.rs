//! What an answer means. Pure.

use std::error::Error as _;

use billwire_delivery::channel::{Outcome, Report};
use lettre::transport::smtp;

/// How far a try came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Connecting, greeting, TLS.
    Connect,
    /// Logging in.
    Login,
    /// Handing over this very message.
    Send,
}

/// What stopped a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The server said no.
    Answer {
        /// Its code.
        code: u16,
        /// Its words.
        words: String,
    },
    /// No connection, or it broke off.
    Network,
    /// TLS could not be established.
    Tls,
    /// What the server said was no SMTP, or it stopped in the middle.
    Garbled,
    /// It took too long.
    Timeout,
    /// The server lacks something this message or account needs.
    Unsuitable(String),
}

/// A try that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How far it came.
    pub stage: Stage,
    /// What stopped it.
    pub cause: Cause,
}

impl Failure {
    /// Reads what the SMTP library says. The inside of network errors is left out: it tells of our network.
    pub fn of(stage: Stage, error: &smtp::Error) -> Self {
        let words = || error.source().map(ToString::to_string).unwrap_or_default();
        let cause = if let Some(code) = error.status() {
            Cause::Answer { code: code.into(), words: words() }
        } else if error.is_timeout() {
            Cause::Timeout
        } else if error.is_tls() {
            Cause::Tls
        } else if error.is_response() {
            Cause::Garbled
        } else if error.is_client() {
            Cause::Unsuitable(words())
        } else {
            Cause::Network
        };
        Self { stage, cause }
    }

    /// Whether no further try can succeed: the server refused this message for good.
    ///
    /// A refusal before the message was offered is about the account or the server, which a person can mend while we wait.
    /// The same holds for the four codes that ask for a (better) login (RFC 4954 section 6).
    pub fn is_final(&self) -> bool {
        self.stage == Stage::Send
            && matches!(&self.cause, Cause::Answer { code, .. } if (500..600).contains(code) && !matches!(code, 530 | 534 | 535 | 538))
    }

    /// For people.
    pub fn report(&self) -> Report {
        let doing = match self.stage {
            Stage::Connect => "connecting",
            Stage::Login => "logging in",
            Stage::Send => "sending",
        };
        match &self.cause {
            Cause::Answer { code, words } => Report::new(Some(*code), format!("{doing}: {code} {words}")),
            Cause::Network => Report::new(None, format!("{doing}: no connection, or it broke off")),
            Cause::Tls => {
                Report::new(None, format!("{doing}: TLS could not be established; is the certificate trusted and for this name?"))
            }
            Cause::Garbled => Report::new(None, format!("{doing}: the server broke off or did not speak SMTP")),
            Cause::Timeout => Report::new(None, format!("{doing}: the server did not answer in time")),
            Cause::Unsuitable(what) => Report::new(None, format!("{doing}: {what}")),
        }
    }
}

/// What became of a try.
pub fn outcome(sent: Result<Report, Failure>) -> Outcome {
    match sent {
        Ok(report) => Outcome::Delivered(report),
        Err(failure) if failure.is_final() => Outcome::GiveUp(failure.report()),
        Err(failure) => Outcome::Retry { report: failure.report(), after: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(stage: Stage, code: u16) -> Outcome {
        outcome(Err(Failure { stage, cause: Cause::Answer { code, words: "so it is".to_owned() } }))
    }

    #[test]
    fn only_a_permanent_refusal_of_the_message_itself_is_final() {
        for code in [550, 552, 553, 554] {
            let Outcome::GiveUp(report) = answered(Stage::Send, code) else { panic!("{code} should be final") };
            assert_eq!((report.status, report.detail), (Some(code), format!("sending: {code} so it is")));
        }
        for (stage, code) in [
            (Stage::Send, 421),
            (Stage::Send, 451),
            (Stage::Send, 452),
            (Stage::Send, 530),
            (Stage::Send, 535),
            (Stage::Login, 535),
            (Stage::Login, 454),
            (Stage::Connect, 554),
            (Stage::Connect, 421),
        ] {
            assert!(matches!(answered(stage, code), Outcome::Retry { .. }), "{stage:?} {code}");
        }
    }

    #[test]
    fn whatever_breaks_underneath_is_tried_again() {
        for cause in [Cause::Network, Cause::Tls, Cause::Garbled, Cause::Timeout, Cause::Unsuitable("no STARTTLS".to_owned())] {
            assert!(matches!(outcome(Err(Failure { stage: Stage::Send, cause })), Outcome::Retry { .. }));
        }
    }
}
