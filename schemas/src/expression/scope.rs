//! What the names in an expression mean for an event.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use cel::{
    Context, Value,
    objects::{Key, Map},
};
use serde_json::Value as Json;

use super::{ENVELOPE, ENVIRONMENT, amount, decimal};

/// The names available to an expression: an event and its parameters. It refers to the event's values, which may be large, and copies none.
#[derive(Debug, Clone, Default)]
pub struct Scope<'e> {
    groups: Arc<Group<'e>>,
}

pub(super) type Group<'e> = BTreeMap<&'e str, Node<'e>>;

/// What a part of a name leads to.
#[derive(Debug, Clone)]
pub(super) enum Node<'e> {
    /// A value of the event.
    Value(&'e Json),
    /// What the names that go on from here lead to.
    Group(Arc<Group<'e>>),
}

impl<'e> Node<'e> {
    fn empty() -> Self {
        Self::Group(Arc::default())
    }

    fn get(&self, part: &str) -> Option<Self> {
        match self {
            Self::Value(value) => value.get(part).map(Self::Value),
            Self::Group(members) => members.get(part).cloned(),
        }
    }

    fn is_object(&self) -> bool {
        matches!(self, Self::Group(_) | Self::Value(Json::Object(_)))
    }

    /// The members, to which more can be added; `None` if it is a scalar.
    fn members(&mut self) -> Option<&mut Group<'e>> {
        if let Self::Value(Json::Object(members)) = self {
            *self = Self::Group(Arc::new(members.iter().map(|(name, value)| (name.as_str(), Self::Value(value))).collect()));
        }
        match self {
            Self::Group(members) => Some(Arc::make_mut(members)),
            Self::Value(_) => None,
        }
    }

    fn cel_value(&self) -> Value {
        match self {
            Self::Value(value) => cel_value(value),
            Self::Group(members) => cel_map(members.iter().map(|(name, node)| (*name, node.cel_value()))),
        }
    }
}

impl<'e> Scope<'e> {
    /// The scope of an event, given as the CloudEvents JSON object on the stream.
    pub fn of(event: &'e Json) -> Self {
        let mut groups = Group::new();
        for (name, value) in event["data"]["parameters"].as_object().into_iter().flatten() {
            set(&mut groups, name, value);
        }
        for (name, _) in ENVELOPE {
            let found = match name {
                "object" | "before" | "after" => event["data"].get(name),
                _ => event.get(name),
            };
            if let (Some(value), Some(members)) = (found, groups.entry("event").or_insert_with(Node::empty).members()) {
                members.insert(name, Node::Value(value));
            }
        }
        Self { groups: Arc::new(groups) }
    }

    /// The text of a parameter or envelope member; `None` if there is no such name or it is no text.
    pub fn text(&self, name: &str) -> Option<&'e str> {
        match self.node(name)? {
            Node::Value(value) => value.as_str(),
            Node::Group(_) => None,
        }
    }

    pub(super) fn node(&self, name: &str) -> Option<Node<'e>> {
        let mut parts = name.split('.');
        let first = self.groups.get(parts.next()?)?.clone();
        parts.try_fold(first, |node, part| node.get(part))
    }

    /// Takes over the value of a name from `other`; if it has none, only the objects around it, or also null in its place.
    pub(super) fn take(&mut self, other: &Self, name: &'e str, or_null: bool) {
        let (mut to, mut from) = (Arc::make_mut(&mut self.groups), Some(Node::Group(other.groups.clone())));
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            let node = from.and_then(|from| from.get(part));
            let inner = match &node {
                // The name ends here, or goes beyond a value without members.
                Some(node) if last || !node.is_object() => {
                    to.insert(part, node.clone());
                    return;
                }
                None if last && or_null => {
                    to.entry(part).or_insert(Node::Value(&Json::Null));
                    return;
                }
                None if !or_null => return,
                _ => to.entry(part).or_insert_with(Node::empty),
            };
            from = node.filter(Node::is_object);
            let Some(inner) = inner.members() else { return };
            to = inner;
        }
    }

    pub(super) fn context(&self) -> Context<'static, 'static> {
        let mut context = Context::with_env(ENVIRONMENT.clone());
        for (name, node) in self.groups.iter() {
            context.add_variable_from_value(*name, node.cel_value());
        }
        // Only this code registers functions, so neither name can be taken.
        let _ = context.add_function("decimal", decimal);
        let _ = context.add_function("amount", amount);
        context
    }
}

/// Sets the value of a name. A name cannot extend another parameter whose value is a scalar.
fn set<'e>(mut members: &mut Group<'e>, name: &'e str, value: &'e Json) {
    let mut parts = name.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            members.insert(part, Node::Value(value));
            return;
        }
        let Some(inner) = members.entry(part).or_insert_with(Node::empty).members() else { return };
        members = inner;
    }
}

fn cel_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap_or(f64::NAN)), Value::Int),
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(cel_value).collect())),
        Json::Object(members) => cel_map(members.iter().map(|(name, value)| (name.as_str(), cel_value(value)))),
    }
}

fn cel_map<'a>(members: impl Iterator<Item = (&'a str, Value)>) -> Value {
    let members = members.map(|(name, value)| (Key::String(Arc::new(name.to_owned())), value));
    Value::Map(Map { map: Arc::new(members.collect::<HashMap<_, _>>()) })
}
