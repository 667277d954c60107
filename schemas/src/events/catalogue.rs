//! The built-in event types. Each object's stand in its own file under [`objects`]; here is what they are made of
//! and the list of all.

use std::{collections::HashMap, sync::LazyLock};

use serde::Serialize;

use super::{
    objects,
    parameters::{Group, Parameter},
};

/// Which family an event belongs to (DESIGN section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Family {
    /// State of one created, updated or deleted object.
    Object,
    /// An occurrence a person or process reacts to.
    Lifecycle,
}

/// What an event keeps order within.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Key {
    /// Its account.
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
    /// The name people know it by.
    pub title: &'static str,
    /// Other names it goes by in the field.
    pub aliases: &'static [&'static str],
    /// Object or lifecycle.
    pub family: Family,
    /// What makes it happen.
    pub trigger: &'static str,
    /// The object its `data` tells of, camelCase.
    pub source: &'static str,
    /// What it keeps order within.
    pub key: Key,
    /// The groups of parameters it offers.
    pub groups: &'static [Group],
    /// Parameters that only this event offers.
    pub own_parameters: &'static [Parameter],
}

impl EventType {
    /// The parameters this event offers, group by group.
    pub fn parameters(&self) -> impl Iterator<Item = &'static Parameter> + '_ {
        self.groups.iter().flat_map(|group| group.parameters()).chain(self.own_parameters)
    }

    /// The same, each with whether it is for e-mail alone.
    pub fn offers(&self) -> impl Iterator<Item = (&'static Parameter, bool)> + '_ {
        let own = self.own_parameters.iter().map(|parameter| (parameter, false));
        self.groups.iter().flat_map(|group| group.parameters().iter().map(|parameter| (parameter, group.email_only()))).chain(own)
    }

    /// What it tells, for people.
    pub fn description(&self) -> String {
        let noun = self.object().replace('_', " ");
        let article = if noun.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
        match (self.family, self.name.rsplit_once('.').map_or("", |(_, what)| what)) {
            (Family::Object, "created") => format!("The state of {article} {noun} that has come to be."),
            (Family::Object, "deleted") => format!("The last state of {article} {noun} that is gone."),
            (Family::Object, _) => format!("The state of {article} {noun} before and after a change of it."),
            (Family::Lifecycle, _) => {
                format!(
                    "{}: told of {article} {noun} when it happens, for people and processes that react to it; with the {noun}'s state.",
                    self.title
                )
            }
        }
    }

    /// The object token of the name.
    pub fn object(&self) -> &'static str {
        self.name.split_once('.').map_or(self.name, |(object, _)| object)
    }

    /// With other names.
    pub(crate) const fn also(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    /// With parameters of its own.
    pub(crate) const fn with(self, own_parameters: &'static [Parameter]) -> Self {
        Self { own_parameters, ..self }
    }
}

/// What the events of one object have in common.
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

/// Every built-in event type, by object.
pub fn all() -> impl Iterator<Item = &'static EventType> {
    objects::EVENTS.iter().flat_map(|events| events.iter())
}

/// The built-in event type of this name.
pub fn find(name: &str) -> Option<&'static EventType> {
    static BY_NAME: LazyLock<HashMap<&str, &EventType>> = LazyLock::new(|| all().map(|event| (event.name, event)).collect());
    BY_NAME.get(name).copied()
}
