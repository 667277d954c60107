//! The sequences seen of each ordering key, to notice a gap in the stream.

use std::collections::HashMap;

use billwire_schemas::ids::{OrderingKey, TenantId};

use crate::event::Event;

/// Ordering keys remembered per slot; beyond that, all are forgotten.
const KEYS_MAX: usize = 12_500;

/// The last sequence seen of each ordering key. A slot sees every event of its keys, so a jump in the sequence is a gap in the stream.
#[derive(Debug, Default)]
pub(crate) struct Seen(HashMap<(TenantId, OrderingKey), i64>);

impl Seen {
    /// Notes an event. Gives the last sequence before it if events between the two are missing.
    pub fn gap_before(&mut self, event: &Event) -> Option<i64> {
        if self.0.len() >= KEYS_MAX {
            self.0.clear();
        }
        match self.0.get_mut(&(event.tenant.clone(), event.key.clone())) {
            Some(seen) => {
                let last = *seen;
                *seen = last.max(event.sequence);
                (event.sequence > last + 1).then_some(last)
            }
            None => {
                self.0.insert((event.tenant.clone(), event.key.clone()), event.sequence);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::{EventId, fresh};

    use super::*;

    #[test]
    fn a_jump_is_a_gap_and_a_repetition_is_not() {
        let (mut seen, key) = (Seen::default(), OrderingKey::from(fresh()));
        let event = |tenant: &str, sequence| Event {
            id: EventId(fresh()),
            tenant: tenant.parse().expect("a tenant"),
            kind: "account.updated".to_owned(),
            key: key.clone(),
            sequence,
            position: sequence,
            body: "{}".into(),
        };
        for (tenant, sequence, gap) in
            [("a", 5, None), ("a", 6, None), ("b", 9, None), ("a", 9, Some(6)), ("a", 7, None), ("a", 10, None), ("b", 11, Some(9))]
        {
            assert_eq!(seen.gap_before(&event(tenant, sequence)), gap, "{tenant} {sequence}");
        }
    }
}
