//! The built-in event types. Each object's types are in a separate file under [`objects`]; this module defines their structure and
//! the complete list.

use std::{collections::HashMap, sync::LazyLock};

use serde::Serialize;

use super::{
    objects,
    parameters::{Group, Parameter},
};

/// The family of an event (DESIGN section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Family {
    /// The state of a created, updated or deleted object.
    Object,
    /// A billing milestone that people or processes react to.
    Lifecycle,
}

/// What orders the events of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Key {
    /// The object's account.
    Account,
    /// The object itself, which belongs to no account.
    Object,
}

/// A built-in event type.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventType {
    /// `<object>.<what happened>`.
    pub name: &'static str,
    /// Human-readable name.
    pub title: &'static str,
    /// Other names common in the field.
    pub aliases: &'static [&'static str],
    /// Object or lifecycle family.
    pub family: Family,
    /// What causes the event.
    pub trigger: &'static str,
    /// Type of the object in `data`, camelCase.
    pub source: &'static str,
    /// What orders the events.
    pub key: Key,
    /// Parameter groups the event offers.
    pub groups: &'static [Group],
    /// Parameters of this event only.
    pub own_parameters: &'static [Parameter],
}

impl EventType {
    /// The offered parameters, group by group.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Parameter> + '_ {
        self.groups.iter().flat_map(|group| group.parameters()).chain(self.own_parameters)
    }

    /// The offered parameters, each with whether it is for e-mail only.
    pub fn offers(&self) -> impl Iterator<Item = (&'static Parameter, bool)> + '_ {
        let own = self.own_parameters.iter().map(|parameter| (parameter, false));
        self.groups.iter().flat_map(|group| group.parameters().iter().map(|parameter| (parameter, group.email_only()))).chain(own)
    }

    /// A human-readable description.
    pub fn description(&self) -> String {
        let noun = self.object().replace('_', " ");
        let article = if noun.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
        let meaning = match (self.family, self.name.rsplit_once('.').map_or("", |(_, what)| what)) {
            (Family::Object, "created") => format!("The state of {article} {noun} after its creation."),
            (Family::Object, "deleted") => format!("The last state of {article} {noun} before its deletion."),
            (Family::Object, _) => format!("The state of {article} {noun} before and after a change."),
            (Family::Lifecycle, _) => {
                format!(
                    "{}: a milestone of {article} {noun} for people and processes that react to it, with the {noun}'s state.",
                    self.title
                )
            }
        };
        format!("{meaning} Caused by: {}.", self.trigger)
    }

    /// The object part of the name.
    pub fn object(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(object, _)| object)
    }

    /// Sets the aliases.
    pub(crate) const fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// Sets the parameters of this event only.
    pub(crate) const fn with(self, own_parameters: &'static [Parameter]) -> Self {
        Self { own_parameters, ..self }
    }
}

/// The common properties of one object's events.
pub(crate) struct Source {
    pub kind: &'static str,
    pub key: Key,
    pub groups: &'static [Group],
}

impl Source {
    const fn event(&self, family: Family, name: &'static str, title: &'static str, trigger: &'static str) -> EventType {
        let (source, key, groups) = (self.kind, self.key, self.groups);
        EventType { name, title, aliases: &[], family, trigger, source, key, groups, own_parameters: &[] }
    }

    /// An event of the object family.
    pub const fn object(&self, name: &'static str, title: &'static str, trigger: &'static str) -> EventType {
        self.event(Family::Object, name, title, trigger)
    }

    /// An event of the lifecycle family.
    pub const fn lifecycle(&self, name: &'static str, title: &'static str, trigger: &'static str) -> EventType {
        self.event(Family::Lifecycle, name, title, trigger)
    }
}

/// Every built-in event type, object by object.
pub fn all() -> impl Iterator<Item = &'static EventType> {
    objects::OBJECTS.iter().flat_map(|object| object.events)
}

/// The built-in event type named `name`.
pub fn find(name: &str) -> Option<&'static EventType> {
    static BY_NAME: LazyLock<HashMap<&str, &EventType>> = LazyLock::new(|| all().map(|event| (event.name, event)).collect());
    BY_NAME.get(name).copied()
}
