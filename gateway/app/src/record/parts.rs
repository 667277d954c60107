//! Records with many events, as several business transactions.

use super::{Draft, EVENTS_MAX, Record};

impl Record {
    /// The record in parts of up to [`EVENTS_MAX`] events; an entity and its events stay together.
    pub(super) fn parts(self) -> Vec<Self> {
        let Self { account, key, entities, events, reveal, cause, balance: _, beside: _ } = self;
        let mut parts = vec![Self { account, reveal, cause, ..Self::default() }];
        let mut events = events.into_iter().peekable();
        for (index, entity) in entities.into_iter().enumerate() {
            let own: Vec<Draft> = std::iter::from_fn(|| events.next_if(|draft| draft.entity == index)).collect();
            if parts.last().is_some_and(|part| part.events.len() + own.len() > EVENTS_MAX) {
                parts.push(Self { account, cause, ..Self::default() });
            }
            if let Some(part) = parts.last_mut() {
                let at = part.entities.len();
                part.entities.push(entity);
                part.events.extend(own.into_iter().map(|draft| Draft { entity: at, ..draft }));
                part.key.clone_from(&key);
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::{
        events::envelope::{Action, ObjectRef, Parameters},
        ids::OrderingKey,
    };

    use super::{super::EntityChange, *};

    /// A record of entities with as many events each.
    fn record(events: &[usize]) -> Record {
        let mut record = Record { key: Some(OrderingKey::CONFIGURATION), ..Record::default() };
        for (entity, count) in events.iter().enumerate() {
            let object = ObjectRef { kind: "account".to_owned(), id: entity.to_string(), version: 1, action: Action::Updated };
            record.entities.push(EntityChange { object, before: None, after: None });
            let draft = |n: usize| Draft { kind: format!("{entity}.{n}"), entity, parameters: Parameters::new(), custom: None };
            record.events.extend((0..*count).map(draft));
        }
        record
    }

    /// The ids of the entities and the number of events of each part, after checking that events stand with their entity.
    fn parts(events: &[usize]) -> Vec<(Vec<String>, usize)> {
        let part = |part: Record| {
            for draft in &part.events {
                let entity = &part.entities[draft.entity].object.id;
                assert!(draft.kind.starts_with(&format!("{entity}.")), "{} of {entity}", draft.kind);
            }
            assert!(part.key.is_some());
            (part.entities.into_iter().map(|entity| entity.object.id).collect(), part.events.len())
        };
        record(events).parts().into_iter().map(part).collect()
    }

    #[test]
    fn a_record_with_too_many_events_becomes_several_whole_ones_in_order() {
        let ids = |range: std::ops::Range<usize>| range.map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(parts(&[2, 0, 1]), [(ids(0..3), 3)]);
        assert_eq!(parts(&[3; 333]), [(ids(0..333), 999)]);
        assert_eq!(parts(&[2; 500]), [(ids(0..499), 998), (ids(499..500), 2)]);
        assert_eq!(parts(&[3; 700]), [(ids(0..333), 999), (ids(333..666), 999), (ids(666..700), 102)]);
        assert_eq!(parts(&[0]), [(ids(0..1), 0)], "a change without events");
    }
}
