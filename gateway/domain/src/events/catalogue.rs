//! A tenant's event types and their parameters: the built-in types, the tenant's own types, and the parameters that data sources add.
//! Every stored object that names an event type or a parameter is validated against this catalogue.

use std::collections::BTreeSet;

use billwire_schemas::{
    events::{
        catalogue::{self, Family, Key},
        parameters::{Parameter, Type, did_you_mean},
        selection::{BUSINESS_TRANSACTIONS, Selection, is_pattern, means},
    },
    ids::DataSourceId,
    refusal::Code,
};
use serde_json::Value;

use crate::{
    events::{
        custom_event_type::{CustomEventType, OrderedBy},
        data_schema::scalars,
        data_source::DataSource,
    },
    rejected::Violation,
};

/// The pattern of all custom types, valid even if no custom type exists.
const CUSTOM: &str = "custom.*";

/// A parameter offered by events of a type.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// The name in templates.
    pub name: String,
    /// Type of the value.
    pub kind: Type,
    /// Meaning.
    pub meaning: String,
    /// An example value.
    pub example: Value,
    /// Whether the parameter is available in e-mail only; webhooks and the stream never carry it.
    pub email_only: bool,
}

/// An event type, built in or the tenant's own.
#[derive(Debug, Clone, Copy)]
pub enum Known<'c> {
    /// Defined by the platform.
    BuiltIn(&'static catalogue::EventType),
    /// Defined by the tenant.
    Custom(&'c CustomEventType),
}

impl Known<'_> {
    /// `object`, `lifecycle` or `custom`.
    pub fn family(&self) -> &'static str {
        match self {
            Self::BuiltIn(event) if event.family == Family::Object => "object",
            Self::BuiltIn(_) => "lifecycle",
            Self::Custom(_) => "custom",
        }
    }

    /// What orders the events: `account`, `object`, `key`, or `accountOrKey` if each event chooses.
    pub fn ordering_key(&self) -> &'static str {
        match self {
            Self::BuiltIn(event) if event.key == Key::Account => "account",
            Self::BuiltIn(_) => "object",
            Self::Custom(event) => match event.ordering_key {
                Some(OrderedBy::Account) => "account",
                Some(OrderedBy::Key) => "key",
                None => "accountOrKey",
            },
        }
    }
}

/// A tenant's event catalogue.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    custom: Vec<CustomEventType>,
    sources: Vec<DataSource>,
}

impl Catalogue {
    /// Combines the built-in types with the tenant's custom types and data sources.
    pub fn new(mut custom: Vec<CustomEventType>, sources: Vec<DataSource>) -> Self {
        custom.sort_by(|one, other| one.name.cmp(&other.name));
        Self { custom, sources }
    }

    /// The tenant's own types, sorted by name.
    pub fn custom(&self) -> &[CustomEventType] {
        &self.custom
    }

    /// The catalogue without one data source.
    #[must_use]
    pub fn without(mut self, source: DataSourceId) -> Self {
        self.sources.retain(|other| other.id != source);
        self
    }

    /// Every type: first the built-in ones by object, then the tenant's own.
    pub fn all(&self) -> impl Iterator<Item = Known<'_>> {
        catalogue::all().map(Known::BuiltIn).chain(self.custom.iter().map(Known::Custom))
    }

    /// The type named `name`.
    pub fn find(&self, name: &str) -> Option<Known<'_>> {
        let custom = || self.custom.iter().find(|custom| custom.name == name).map(Known::Custom);
        catalogue::find(name).map(Known::BuiltIn).or_else(custom)
    }

    /// The names of all types.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        catalogue::all().map(|event| event.name).chain(self.custom.iter().map(|custom| custom.name.as_str()))
    }

    /// The parameters that events of this type offer.
    pub fn offers(&self, event: Known<'_>) -> Vec<Offer> {
        match event {
            Known::BuiltIn(event) => {
                let mut offers: Vec<Offer> = event.offers().map(|(parameter, email_only)| built_in(parameter, email_only)).collect();
                offers.extend(self.sources.iter().filter(|source| source.object == event.source).flat_map(added));
                offers
            }
            Known::Custom(custom) => {
                let groups = custom.groups().iter();
                let mut offers: Vec<Offer> =
                    groups.flat_map(|group| group.parameters().iter().map(|parameter| built_in(parameter, group.email_only()))).collect();
                offers.extend(scalars(&custom.schema).into_iter().map(|scalar| Offer {
                    example: example_of(scalar.kind),
                    name: format!("data.{}", scalar.name),
                    kind: scalar.kind,
                    meaning: scalar.meaning,
                    email_only: false,
                }));
                offers
            }
        }
    }

    /// The names of the parameters that events of this type offer; `None` if the type does not exist.
    pub fn offered(&self, event_type: &str) -> Option<Vec<String>> {
        let known = self.find(event_type)?;
        Some(self.offers(known).into_iter().map(|offer| offer.name).collect())
    }

    /// Checks that each event type exists; returns a violation for each unknown one.
    pub fn unknown_types(&self, event_types: &[String]) -> Vec<Violation> {
        let unknown = event_types.iter().enumerate().filter(|(_, name)| self.find(name).is_none());
        unknown.map(|(index, name)| self.unknown_type(format!("/eventTypes/{index}"), name)).collect()
    }

    /// The violation of an unknown event type.
    pub fn unknown_type(&self, pointer: String, name: &str) -> Violation {
        let message = format!("There is no event type '{name}'.{}", did_you_mean(name, self.names()));
        Violation::new(pointer, Code::EventTypeUnknown, message)
    }

    /// Checks a selection of events: each name must exist, each pattern must match an existing type or types that can be registered, and
    /// each object must have events.
    pub fn unknown(&self, selection: &Selection) -> Vec<Violation> {
        self.unknown_besides(selection, &[CUSTOM])
    }

    /// The same, of a selection on the stream, where there are also whole business transactions.
    pub fn unknown_on_stream(&self, selection: &Selection) -> Vec<Violation> {
        self.unknown_besides(selection, &[CUSTOM, BUSINESS_TRANSACTIONS])
    }

    /// The same; the patterns `besides` match nothing that is in the catalogue.
    fn unknown_besides(&self, selection: &Selection, besides: &[&str]) -> Vec<Violation> {
        let known = |entry: &str| self.find(entry).is_some() || (is_pattern(entry) && self.names().any(|name| means(entry, name)));
        let types = selection.event_types.iter().enumerate().filter(|(_, entry)| !known(entry) && !besides.contains(&entry.as_str()));
        let types = types.map(|(index, entry)| self.unknown_type(format!("/eventTypes/{index}"), entry));
        let objects: BTreeSet<&str> = self.names().filter_map(|name| Some(name.split_once('.')?.0)).collect();
        let unknown = selection.objects.iter().enumerate().filter(|(_, chosen)| !objects.contains(chosen.object.as_str()));
        let unknown = unknown.map(|(index, chosen)| {
            let message =
                format!("There are no events of object '{}'.{}", chosen.object, did_you_mean(&chosen.object, objects.iter().copied()));
            Violation::new(format!("/objects/{index}/object"), Code::EventObjectUnknown, message)
        });
        types.chain(unknown).collect()
    }
}

fn built_in(parameter: &Parameter, email_only: bool) -> Offer {
    Offer {
        name: parameter.name.to_owned(),
        kind: parameter.kind,
        meaning: parameter.meaning.to_owned(),
        example: parameter.value(),
        email_only,
    }
}

fn added(source: &DataSource) -> Vec<Offer> {
    let email_only = source.email_only();
    let over = source.path.join(", then ");
    let parameters = source.parameters().into_iter().map(|(name, parameter)| Offer {
        name,
        meaning: format!("{} (via {over})", parameter.meaning),
        ..built_in(parameter, email_only)
    });
    parameters.collect()
}

fn example_of(kind: Type) -> Value {
    match kind {
        Type::String => "text".into(),
        Type::Number => 1.into(),
        Type::Boolean => true.into(),
        Type::Object => Value::Object(serde_json::Map::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{custom_event_type, data_source};
    use billwire_schemas::{
        clock::Timestamp,
        ids::{DataSourceId, EventTypeId, fresh},
    };
    use serde_json::json;

    fn catalogue(ordering_key: Option<OrderedBy>) -> Catalogue {
        let register = custom_event_type::Register {
            id: EventTypeId(fresh()),
            version: 1,
            name: "sim_swapped".into(),
            title: "SIM Swapped".into(),
            description: None,
            ordering_key,
            schema: json!({ "type": "object", "properties": { "iccid": { "type": "string", "description": "The new SIM" } } }),
        };
        let custom = custom_event_type::register(register, None, 0, vec![], Timestamp::UNIX_EPOCH).expect("registered").after;
        let create = |name: &str, path: &[&str]| {
            let path = path.iter().map(|step| (*step).to_owned()).collect();
            let create = data_source::Create { id: DataSourceId(fresh()), name: name.into(), object: "account".into(), path };
            data_source::create(create, 0, Timestamp::UNIX_EPOCH).expect("a data source").after
        };
        Catalogue::new(vec![custom], vec![create("cycle", &["billCycle"]), create("payer", &["billingContact"])])
    }

    #[test]
    fn custom_types_offer_their_scalar_members_and_the_account_they_must_name() {
        let offered = catalogue(None).offered("custom.sim_swapped").expect("a type");
        assert!(offered.contains(&"data.iccid".to_owned()) && offered.contains(&"event.type".to_owned()));
        assert!(!offered.contains(&"account.name".to_owned()), "not every event has an account");
        let by_account = catalogue(Some(OrderedBy::Account)).offered("custom.sim_swapped").expect("a type");
        assert!(by_account.contains(&"account.name".to_owned()));
    }

    #[test]
    fn data_sources_add_to_the_events_of_their_object() {
        let catalogue = catalogue(None);
        let offers = |name: &str| catalogue.offers(catalogue.find(name).expect("a type"));
        let added = offers("account.created").into_iter().find(|offer| offer.name == "cycle.name").expect("added");
        assert_eq!((added.kind, added.email_only), (Type::String, false));
        assert!(!offers("bill_cycle.created").iter().any(|offer| offer.name == "cycle.name"));
        assert!(offers("account.created").iter().filter(|offer| offer.name.starts_with("payer.")).all(|offer| offer.email_only));
    }

    #[test]
    fn an_unknown_type_is_named_with_the_nearest() {
        let found = catalogue(None).unknown_types(&["account.created".into(), "custom.sim_swaped".into()]);
        assert_eq!((found.len(), found[0].pointer.as_ref(), found[0].code.as_str()), (1, "/eventTypes/1", "event_type_unknown"));
        assert!(found[0].message.contains("custom.sim_swapped"), "{}", found[0].message);
    }
}
