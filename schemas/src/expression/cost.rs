//! Bounds the work of an expression for one event before it is evaluated.
//!
//! The evaluator has no limits of its own, and it copies: `[event.after, event.after]` holds the object twice, and a list that is added to
//! itself in a loop grows with the square of its length. So the sizes of all intermediate values are estimated from above, from the sizes of
//! the values that the event has, and an expression whose values are too large in sum is not evaluated.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, LiteralValue, SelectExpr, operators};
use serde_json::Value as Json;
use std::collections::HashMap;

use super::{Scope, names::chain, scope::Node};

/// What a value takes besides the text it contains, in bytes.
const NODE: u64 = 64;
/// What a map takes besides: its table, even for a single entry.
const TABLE: u64 = 256;

/// Upper bounds for a value.
#[derive(Debug, Clone, Copy)]
struct Bound {
    /// Size of a copy.
    bytes: u64,
    /// Number of elements, if it is a list or a map.
    items: u64,
    /// Size of the largest element, including its key.
    item: u64,
}

impl Bound {
    const SCALAR: Self = Self { bytes: NODE, items: 0, item: NODE };

    /// A value of this size about which nothing else is known.
    fn of_size(bytes: u64) -> Self {
        Self { bytes, items: bytes / NODE, item: bytes }
    }

    /// Whichever of two values it is.
    fn or(self, other: Self) -> Self {
        Self { bytes: self.bytes.max(other.bytes), items: self.items.max(other.items), item: self.item.max(other.item) }
    }

    /// Both values in one.
    fn with(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            items: self.items.saturating_add(other.items),
            item: self.item.max(other.item),
        }
    }

    /// A list with this value as its only element.
    fn in_list(self) -> Self {
        Self { bytes: self.bytes.saturating_add(NODE), items: 1, item: self.bytes }
    }

    fn times(self, count: u64) -> Self {
        Self { bytes: self.bytes.saturating_mul(count), items: self.items.saturating_mul(count), item: self.item }
    }
}

/// A value of the event.
struct Measured {
    bound: Bound,
    /// The number of objects in it.
    tables: u64,
}

impl Measured {
    fn scalar(text_bytes: usize) -> Self {
        Self { bound: Bound { bytes: NODE + text_bytes as u64, items: 0, item: 0 }, tables: 0 }
    }

    /// The same as a member with this name.
    fn named(self, name: &str) -> Self {
        Self { bound: Bound { bytes: self.bound.bytes + NODE + name.len() as u64, ..self.bound }, ..self }
    }

    /// A list of these elements, or an object of these members with `tables` 1.
    fn of_elements(tables: u64, elements: impl Iterator<Item = Self>) -> Self {
        elements.fold(Self { tables, ..Self::scalar(0) }, |all, one| Self {
            bound: Bound {
                bytes: all.bound.bytes + one.bound.bytes,
                items: all.bound.items + 1,
                item: all.bound.item.max(one.bound.bytes),
            },
            tables: all.tables + one.tables,
        })
    }

    /// The depth of JSON is limited where it is read.
    fn of(json: &Json) -> Self {
        match json {
            Json::Null | Json::Bool(_) | Json::Number(_) => Self::scalar(0),
            Json::String(text) => Self::scalar(text.len()),
            Json::Array(items) => Self::of_elements(0, items.iter().map(Self::of)),
            Json::Object(members) => Self::of_elements(1, members.iter().map(|(name, value)| Self::of(value).named(name))),
        }
    }

    fn of_node(node: &Node) -> Self {
        match node {
            Node::Value(value) => Self::of(value),
            Node::Group(members) => Self::of_elements(1, members.iter().map(|(name, node)| Self::of_node(node).named(name))),
        }
    }
}

/// The bytes of values that the evaluation of `expression` may read or make, at most.
pub(super) fn work(expression: &IdedExpr, scope: &Scope) -> u64 {
    let mut estimate = Estimate { scope, read: HashMap::new(), bound: Vec::new(), work: 0, read_once: 0 };
    estimate.of(expression);
    estimate.work.saturating_add(estimate.read_once)
}

struct Estimate<'e> {
    scope: &'e Scope<'e>,
    /// The values of the event that are used, by name.
    read: HashMap<String, Bound>,
    /// The variables of the loops around the expression, the innermost last.
    bound: Vec<(&'e str, Bound)>,
    work: u64,
    /// Work that is done once, also if it is met in a loop.
    read_once: u64,
}

impl<'e> Estimate<'e> {
    /// The bound of an expression's value; adds its work. The depth of an expression is limited.
    fn of(&mut self, expression: &'e IdedExpr) -> Bound {
        self.add(NODE);
        match &expression.expr {
            Expr::Unspecified => Bound::SCALAR,
            Expr::Literal(literal) => of_literal(literal),
            Expr::Ident(_) => self.named(&expression.expr),
            Expr::Select(select) => self.of_select(expression, select),
            Expr::Call(call) => self.of_call(call),
            Expr::List(list) => self.of_parts(list.elements.iter()),
            Expr::Map(map) => self.of_table(&map.entries),
            Expr::Struct(made) => self.of_table(&made.entries),
            Expr::Comprehension(round) => self.of_round(round),
        }
    }

    fn add(&mut self, work: u64) {
        self.work = self.work.saturating_add(work);
    }

    /// The value of a variable, or of a member of one.
    fn named(&mut self, expression: &Expr) -> Bound {
        let Some(names) = chain(expression) else { return Bound::SCALAR };
        match self.bound.iter().rev().find(|(name, _)| *name == names[0]) {
            Some((_, bound)) if names.len() == 1 => return *bound,
            Some((_, bound)) => return Bound::of_size(bound.item),
            None => {}
        }
        let name = names.join(".");
        if let Some(known) = self.read.get(&name) {
            return *known;
        }
        let node = self.scope.node(&name);
        let absent = Measured { bound: Bound::SCALAR, tables: 0 };
        let Measured { bound, tables } = node.as_ref().map_or(absent, Measured::of_node);
        // It is converted once, however often the expression names it.
        self.read_once = self.read_once.saturating_add(bound.bytes).saturating_add(TABLE.saturating_mul(tables));
        self.read.insert(name, bound);
        bound
    }

    fn of_select(&mut self, expression: &'e IdedExpr, select: &'e SelectExpr) -> Bound {
        if select.test {
            return Bound::SCALAR;
        }
        if chain(&expression.expr).is_some() {
            return self.named(&expression.expr);
        }
        let whole = self.of(&select.operand);
        Bound::of_size(whole.item)
    }

    /// A list or a map of these parts, each of which is copied into it.
    fn of_parts(&mut self, parts: impl Iterator<Item = &'e IdedExpr>) -> Bound {
        let mut whole = Bound::SCALAR;
        for part in parts {
            let part = self.of(part);
            self.add(part.bytes);
            whole = whole.with(part.in_list());
        }
        whole
    }

    fn of_table(&mut self, entries: &'e [IdedEntryExpr]) -> Bound {
        self.add(TABLE);
        self.of_parts(entries.iter().flat_map(|entry| of_entry(&entry.expr)))
    }

    fn of_call(&mut self, call: &'e CallExpr) -> Bound {
        let arguments: Vec<Bound> = call.target.as_deref().into_iter().chain(&call.args).map(|part| self.of(part)).collect();
        let all = arguments.iter().fold(Bound::SCALAR, |all, one| all.with(*one));
        match (call.func_name.as_str(), arguments.as_slice()) {
            // Only one of them is the value, and it is not copied.
            (operators::CONDITIONAL, [_, one, other]) => one.or(*other),
            (operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, _) => Bound::SCALAR,
            (operators::ADD, [one, other]) => {
                let sum = one.with(*other);
                self.add(sum.bytes.saturating_mul(2));
                sum
            }
            (operators::INDEX, [whole, key]) => {
                self.add(whole.item.saturating_add(key.bytes));
                Bound::of_size(whole.item)
            }
            // A text may be written with escapes.
            ("string" | "bytes" | "dyn", _) => {
                self.add(all.bytes.saturating_mul(2));
                Bound::of_size(all.bytes.saturating_mul(2))
            }
            // All others read their arguments, and give a number, a moment, true or false.
            _ => {
                self.add(all.bytes);
                Bound::SCALAR
            }
        }
    }

    fn of_round(&mut self, round: &'e ComprehensionExpr) -> Bound {
        let range = self.of(&round.iter_range);
        // Each element is put into the variable, which shares what it contains.
        self.add(range.items.saturating_mul(NODE));
        let start = self.of(&round.accu_init);
        let element = Bound::of_size(range.item);
        let before = self.bound.len();
        self.bound.push((&round.iter_var, element));
        self.bound.extend(round.iter_var2.as_deref().map(|name| (name, element)));
        // What is collected is extended in place, so that each step costs what it adds.
        self.bound.push((&round.accu_var, Bound::SCALAR));
        let outside = std::mem::take(&mut self.work);
        self.of(&round.loop_cond);
        let step = self.of(&round.loop_step);
        self.work = self.work.saturating_mul(range.items).saturating_add(outside);
        self.bound.truncate(before);
        let collected = start.with(step.times(range.items));
        self.bound.push((&round.accu_var, collected));
        let result = self.of(&round.result);
        self.bound.truncate(before);
        result
    }
}

fn of_literal(literal: &LiteralValue) -> Bound {
    match literal {
        LiteralValue::String(text) => Bound { bytes: NODE + text.inner().len() as u64, ..Bound::SCALAR },
        LiteralValue::Bytes(bytes) => Bound { bytes: NODE + bytes.inner().len() as u64, ..Bound::SCALAR },
        _ => Bound::SCALAR,
    }
}

fn of_entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(pair) => vec![&pair.key, &pair.value],
    }
}
