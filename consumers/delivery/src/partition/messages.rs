//! The messages in memory: each is acknowledged once all its deliveries are recorded.

use std::collections::{BTreeSet, HashMap};

use billwire_bus::Received;
use bytes::Bytes;

use crate::engine::HeldBytes;

/// A message in memory.
struct Pending {
    received: Received,
    /// Other messages with the same event, without their bodies.
    copies: Vec<Received>,
    /// How many of its deliveries are not recorded yet.
    left: usize,
    _held_bytes: HeldBytes,
}

/// All messages in memory.
#[derive(Default)]
pub(crate) struct Messages {
    pending: HashMap<u64, Pending>,
    last: u64,
    /// Their sequences on the stream.
    sequences: BTreeSet<u64>,
    /// The numbers of messages, by the id of their event.
    events: HashMap<String, u64>,
}

impl Messages {
    /// Adds a message with this number of deliveries to record, at least one. Gives its number.
    pub fn insert(&mut self, received: Received, left: usize, held_bytes: HeldBytes) -> u64 {
        self.last += 1;
        self.sequences.insert(received.stream_sequence);
        self.events.insert(received.id.clone(), self.last);
        self.pending.insert(self.last, Pending { received, copies: Vec::new(), left, _held_bytes: held_bytes });
        self.last
    }

    /// Adds another message with the event of one in memory: an event that was taken in from SQL also arrives over the stream, or one was
    /// published twice. `false`: no message in memory has the event.
    pub fn add_copy(&mut self, mut copy: Received) -> bool {
        let number = self.events.get(&copy.id);
        let Some(pending) = number.and_then(|number| self.pending.get_mut(number)) else { return false };
        self.sequences.insert(copy.stream_sequence);
        copy.body = Bytes::new();
        pending.copies.push(copy);
        true
    }

    /// One delivery of a message is recorded. If that was the last one, gives the message and its copies: they are to be acknowledged.
    pub fn recorded(&mut self, number: u64) -> Vec<Received> {
        let Some(pending) = self.pending.get_mut(&number) else { return Vec::new() };
        pending.left = pending.left.saturating_sub(1);
        if pending.left > 0 {
            return Vec::new();
        }
        let Some(Pending { received, mut copies, .. }) = self.pending.remove(&number) else { return Vec::new() };
        self.events.remove(&received.id);
        copies.push(received);
        copies.iter().for_each(|one| _ = self.sequences.remove(&one.stream_sequence));
        copies
    }

    /// The lowest stream sequence among them.
    pub fn first_sequence(&self) -> Option<u64> {
        self.sequences.first().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pending.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::InFlightBytes;

    fn message(sequence: u64, event: i64) -> Received {
        Received::from_sql(sequence, String::new(), event.to_string(), (event, 1), Bytes::from_static(b"{}"))
    }

    #[test]
    fn copies_of_a_message_are_open_until_its_last_delivery_is_recorded_and_are_acknowledged_with_it() {
        let (mut messages, bytes) = (Messages::default(), InFlightBytes::new(1 << 20));
        let number = messages.insert(message(8, 1), 2, bytes.hold(2));
        assert!(messages.add_copy(message(5, 1)) && messages.add_copy(message(8, 1)));
        assert!(!messages.add_copy(message(6, 2)), "no message has its event");
        assert_eq!((messages.first_sequence(), messages.len()), (Some(5), 1));
        assert!(messages.recorded(number).is_empty());
        let recorded: Vec<u64> = messages.recorded(number).iter().map(|one| one.stream_sequence).collect();
        assert_eq!(recorded, [5, 8, 8]);
        assert_eq!((messages.first_sequence(), messages.len()), (None, 0));
        assert!(!messages.add_copy(message(5, 1)) && messages.recorded(number).is_empty());
    }
}
