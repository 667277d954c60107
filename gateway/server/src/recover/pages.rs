//! Pages of the stream, as the store takes them.

use billwire_schemas::{delivery::Published, events::envelope::Envelope, ids::Slot};
use billwire_store::recovery::FromStream;

use crate::roles::restored::{Compared, Page, READ_MAX};

impl Compared {
    fn transaction(&self) -> Option<billwire_schemas::ids::TransactionId> {
        serde_json::from_slice::<Envelope>(&self.message.body).ok().map(|envelope| envelope.transactionid)
    }
}

impl Page {
    /// Where the events stand that SQL has.
    pub fn known(&self) -> Vec<Published> {
        let known = self.messages.iter().filter(|one| !one.missing);
        let stands = known.map(|one| Published {
            sequence: one.message.stream_sequence,
            position: one.message.position,
            slot: Slot::of(&one.event.tenant, &one.event.key),
        });
        stands.collect()
    }

    /// Leaves the last business transaction to the next page, if it may go on there: all of its messages stand one behind the other, and
    /// are at most as many as a page has. Gives the sequence behind which the next page begins.
    pub fn keep_whole_transactions(&mut self) -> u64 {
        if self.messages.len() < READ_MAX {
            return self.end;
        }
        let last = self.messages.last().and_then(Compared::transaction);
        let whole = self.messages.iter().rposition(|one| one.transaction() != last);
        if let Some(at) = whole {
            self.messages.truncate(at + 1);
            self.end = self.messages.last().map_or(self.end, |one| one.message.stream_sequence);
        }
        self.end
    }

    /// The events with all that the store needs to store them again.
    ///
    /// # Errors
    /// When a message of the gateway cannot be read.
    pub fn events(&self) -> Result<Vec<FromStream>, String> {
        let event = |one: &Compared| {
            let body = String::from_utf8(one.message.body.to_vec()).map_err(|error| error.to_string());
            let read = body.and_then(|body| Ok((serde_json::from_str(&body).map_err(|error| error.to_string())?, body)));
            let (envelope, body) = read.map_err(|error| format!("the message {} of the stream: {error}", one.message.stream_sequence))?;
            let (stream_sequence, position) = (one.message.stream_sequence, one.message.position);
            Ok(FromStream { stream_sequence, position, event: one.event.clone(), missing: one.missing, envelope, body })
        };
        self.messages.iter().map(event).collect()
    }
}
