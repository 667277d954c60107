//! Drawing sequences of the ordering keys a unit holds.

use billwire_schemas::ids::OrderingKey;

use super::Tx;
use crate::{Error, error::Failure};

impl Tx<'_> {
    /// The next sequence of one of the unit's ordering keys.
    ///
    /// # Errors
    /// When the unit has not locked the key.
    pub fn next_sequence(&mut self, key: &OrderingKey) -> Result<i64, Failure> {
        let last = self.sequences.get_mut(key).ok_or_else(|| Error::Other(format!("ordering key {key} is not locked by its operation")))?;
        *last += 1;
        Ok(*last)
    }

    /// Gives back the last `count` sequences drawn from a key: nothing uses them.
    pub fn give_back_sequences(&mut self, key: &OrderingKey, count: i64) {
        if let Some(last) = self.sequences.get_mut(key) {
            *last -= count;
        }
    }
}
