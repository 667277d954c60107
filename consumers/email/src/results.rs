//! The results of the messages of an attempt.

use billwire_delivery::channel::{FailureScope, Outcome, Recipient, RecipientState, Report};

use crate::{
    addressees::Addressee,
    reply::{self, Failure},
};

/// What became of the messages of an attempt so far.
#[derive(Default)]
pub(crate) struct Results {
    /// The result of each recipient.
    pub recipients: Vec<Recipient>,
    /// The server's answer to the latest message.
    pub report: Report,
    /// Why messages failed as a whole.
    failures: Vec<Failure>,
}

impl Results {
    /// Records the same result for several people.
    pub fn add(&mut self, people: &[&Addressee], state: RecipientState, report: &Report) {
        let one =
            |one: &&Addressee| Recipient { address: one.address.clone(), state, status: report.status, detail: report.detail.clone() };
        self.recipients.extend(people.iter().map(one));
    }

    /// Records that a message failed as a whole. True: other messages would fail as well, because the reason is the account or its server.
    pub fn fail(&mut self, people: &[&Addressee], failure: Failure) -> bool {
        let state = if failure.is_final() { RecipientState::Refused } else { RecipientState::Deferred };
        self.add(people, state, &failure.report());
        let others_too = failure.failure_scope() != FailureScope::Delivery;
        self.failures.push(failure);
        others_too
    }

    /// The outcome of the attempt; `sent_before`: an earlier attempt reached somebody.
    pub fn outcome(self, sent_before: bool) -> Outcome {
        // Of several failures the one decides that asks for another attempt, and of these the latest.
        let failure = self.failures.into_iter().max_by_key(|failure| !failure.is_final());
        reply::outcome(self.recipients, failure.map_or(Ok(self.report), Err), sent_before)
    }
}
