//! Analyses a compiled expression: its size and the names it uses.

use std::collections::HashSet;

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr, SelectExpr};

use super::text_of;

/// Size of an expression.
#[derive(Debug, Default)]
pub(super) struct Size {
    /// Depth of the tree.
    pub depth: usize,
    /// Number of nodes.
    pub parts: usize,
    /// Number of loops over lists.
    pub rounds: usize,
    /// Whether a loop is inside another loop.
    pub nested_rounds: bool,
}

/// The functions that exist.
pub(super) const FUNCTIONS: &[&str] =
    &["amount", "bool", "bytes", "decimal", "double", "duration", "int", "size", "string", "timestamp", "type", "uint"];

/// The functions that are called on a value, such as `account.name.startsWith('A')`.
pub(super) const METHODS: &[&str] = &[
    "contains",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "size",
    "startsWith",
];

/// The functions and types that an expression uses and that do not exist.
pub(super) fn unknown(expression: &IdedExpr) -> Vec<String> {
    let (mut unknown, mut todo) = (Vec::new(), vec![expression]);
    while let Some(part) = todo.pop() {
        let name = match &part.expr {
            // Operators do not begin with a letter.
            Expr::Call(call) if call.func_name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                let known = if call.target.is_some() { METHODS } else { FUNCTIONS };
                (!known.contains(&call.func_name.as_str())).then_some(&call.func_name)
            }
            Expr::Struct(made) => Some(&made.type_name),
            _ => None,
        };
        unknown.extend(name.cloned());
        todo.extend(below(&part.expr));
    }
    unknown
}

/// The direct children of a node.
fn below(expression: &Expr) -> Vec<&IdedExpr> {
    match expression {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(round) => {
            vec![&round.iter_range, &round.accu_init, &round.loop_cond, &round.loop_step, &round.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(of_entry).collect(),
        Expr::Struct(made) => made.entries.iter().flat_map(of_entry).collect(),
        Expr::Select(select) => vec![&select.operand],
    }
}

fn of_entry(entry: &IdedEntryExpr) -> Vec<&IdedExpr> {
    match &entry.expr {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(pair) => vec![&pair.key, &pair.value],
    }
}

/// Measures an expression without recursion.
pub(super) fn measure(expression: &IdedExpr) -> Size {
    let mut size = Size::default();
    let mut todo = vec![(expression, 1, false)];
    while let Some((part, depth, within)) = todo.pop() {
        size.parts += 1;
        size.depth = size.depth.max(depth);
        let round = matches!(part.expr, Expr::Comprehension(_));
        if round {
            size.rounds += 1;
            size.nested_rounds |= within;
        }
        todo.extend(below(&part.expr).into_iter().map(|part| (part, depth + 1, within || round)));
    }
    size
}

/// The names of a member chain such as `account.name`; `None` if the chain does not start at a variable.
pub(super) fn chain(expression: &Expr) -> Option<Vec<&str>> {
    let (mut names, mut at) = (Vec::new(), expression);
    loop {
        match at {
            Expr::Ident(name) => {
                names.push(name.as_str());
                names.reverse();
                return Some(names);
            }
            Expr::Select(SelectExpr { operand, field, .. }) => {
                names.push(field);
                at = &operand.expr;
            }
            _ => return None,
        }
    }
}

/// The names an expression uses outside `has`, and the names it tests with `has`.
pub(super) fn references(expression: &IdedExpr) -> (Vec<String>, HashSet<String>) {
    let (mut used, mut asked) = (Vec::new(), HashSet::new());
    let mut todo: Vec<(&IdedExpr, Vec<&str>)> = vec![(expression, Vec::new())];
    while let Some((part, mut bound)) = todo.pop() {
        if let Some(names) = chain(&part.expr) {
            // Loop variables and CEL's internal names (`@result`) are not parameters.
            if !bound.contains(&names[0]) && !names[0].starts_with('@') {
                let name = names.join(".");
                if matches!(&part.expr, Expr::Select(select) if select.test) {
                    asked.insert(name);
                } else if !used.contains(&name) {
                    used.push(name);
                }
            }
            continue;
        }
        if let Expr::Comprehension(round) = &part.expr {
            // The list itself is outside the scope of the loop variable.
            todo.push((&round.iter_range, bound.clone()));
            bound.push(&round.iter_var);
            bound.extend(round.iter_var2.as_deref());
            bound.push(&round.accu_var);
            let inner = [&round.accu_init, &round.loop_cond, &round.loop_step, &round.result];
            todo.extend(inner.map(|part| (part, bound.clone())));
            continue;
        }
        todo.extend(below(&part.expr).into_iter().map(|part| (part, bound.clone())));
    }
    used.sort();
    (used, asked)
}

/// A condition `name == "text"` that must hold for the whole expression to hold, if there is one.
pub(super) fn required_text(expression: &IdedExpr) -> Option<(String, String)> {
    let mut todo = vec![expression];
    while let Some(part) = todo.pop() {
        let Expr::Call(call) = &part.expr else { continue };
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("_&&_", all) => todo.extend(all),
            ("_==_", [one, other]) => {
                let pair = |name: &IdedExpr, text: &IdedExpr| Some((chain(&name.expr)?.join("."), text_of(text)?.to_owned()));
                if let Some(found) = pair(one, other).or_else(|| pair(other, one)) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}
