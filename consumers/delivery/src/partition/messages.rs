//! The messages in memory: each is acknowledged once all its deliveries are recorded.

use std::collections::{BTreeSet, HashMap};

use billwire_bus::Received;

use crate::engine::HeldBytes;

/// A message in memory.
struct Pending {
    received: Received,
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
}

impl Messages {
    /// Adds a message with this number of deliveries to record, at least one. Gives its number.
    pub fn insert(&mut self, received: Received, left: usize, held_bytes: HeldBytes) -> u64 {
        self.last += 1;
        self.sequences.insert(received.stream_sequence);
        self.pending.insert(self.last, Pending { received, left, _held_bytes: held_bytes });
        self.last
    }

    /// One delivery of a message is recorded. Gives the message if that was the last one: it is to be acknowledged.
    pub fn recorded(&mut self, number: u64) -> Option<Received> {
        let pending = self.pending.get_mut(&number)?;
        pending.left = pending.left.saturating_sub(1);
        if pending.left > 0 {
            return None;
        }
        let received = self.pending.remove(&number)?.received;
        self.sequences.remove(&received.stream_sequence);
        Some(received)
    }

    /// The lowest stream sequence among them.
    pub fn first_sequence(&self) -> Option<u64> {
        self.sequences.first().copied()
    }

    /// Whether the message at this stream sequence is among them.
    pub fn holds(&self, sequence: u64) -> bool {
        self.sequences.contains(&sequence)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pending.len()
    }
}
