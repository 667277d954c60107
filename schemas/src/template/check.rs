//! Checks a template before it is stored.

use crate::refusal::Code;
use std::collections::{BTreeSet, HashMap, HashSet};

use minijinja::{Environment, ErrorKind};

use super::{
    Locale, Part, Template,
    bounds::{self, Exceeded},
    describe, environment, on_a_stack, scan,
};
use crate::events::parameters::{has_members, is_offered, nearest};

/// Maximum number of violations reported per template.
pub const FAULTS_MAX: usize = 50;

/// Statements that load another template or change escaping.
const FORBIDDEN_STATEMENTS: &[&str] = &["include", "import", "from", "extends", "block", "autoescape", "endautoescape"];

/// Suggestions for unknown filters.
const FILTERS: &[&str] = &[
    "abs",
    "capitalize",
    "count",
    "date",
    "datetime",
    "default",
    "dictsort",
    "escape",
    "first",
    "float",
    "format",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "max",
    "min",
    "money",
    "number",
    "replace",
    "reverse",
    "round",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
];

/// A violation in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `subject`, `text` or `html`.
    pub part: &'static str,
    /// Line in the part, from 1.
    pub line: Option<usize>,
    /// Column in that line, in characters from 1.
    pub column: Option<usize>,
    /// `template_syntax`, `template_unknown_parameter`, `template_forbidden` or `template_too_complex`.
    pub code: Code,
    /// Human-readable text, which includes the suggestions in `near`.
    pub message: String,
    /// Suggestions, most similar first.
    pub near: Vec<String>,
}

/// Finds the violations in every part: bounds (see [`super::bounds`]), syntax (a part's first syntax error hides the rest of the part),
/// names that are not `offered` parameters, and forbidden constructs. A group of parameters (`account` of `account.name`) counts as
/// offered if it is used as an object.
///
/// # Errors
/// The violations, part by part; at most [`FAULTS_MAX`].
pub fn check(template: &Template, offered: &[&str]) -> Result<(), Vec<Fault>> {
    let faults = Reading::of(template).faults(offered);
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// A template parsed once, for checks against the parameters of several event types.
#[derive(Debug)]
pub struct Reading<'t>(Vec<ReadPart<'t>>);

#[derive(Debug)]
struct ReadPart<'t> {
    part: Part,
    source: &'t str,
    tags: Vec<scan::Tag>,
    /// Violations independent of the offered parameters.
    faults: Vec<Fault>,
    /// Names of parameters, sorted; empty if the part does not compile.
    named: Vec<String>,
    globals: Vec<String>,
}

impl<'t> Reading<'t> {
    /// Parses every part of `template`.
    pub fn of(template: &'t Template) -> Self {
        Self(template.parts().map(|(part, source)| ReadPart::of(part, source)).collect())
    }

    /// The parameters used in any way.
    pub(super) fn names(self) -> BTreeSet<String> {
        self.0.into_iter().flat_map(|part| part.named).collect()
    }

    /// The violations, given the `offered` parameters; at most [`FAULTS_MAX`].
    pub fn faults(&self, offered: &[&str]) -> Vec<Fault> {
        let names: HashSet<&str> = offered.iter().copied().collect();
        let dots = offered.iter().flat_map(|name| name.match_indices('.').map(|(at, _)| &name[..at]));
        let groups: HashSet<&str> = dots.chain(offered.iter().copied().filter(|name| has_members(name))).collect();
        let mut faults = Vec::new();
        for part in &self.0 {
            faults.extend(part.faults.iter().cloned());
            for path in &part.named {
                if faults.len() >= FAULTS_MAX {
                    break;
                }
                faults.extend(part.of_name(path, offered, &names, &groups));
            }
        }
        faults.truncate(FAULTS_MAX);
        faults
    }
}

impl<'t> ReadPart<'t> {
    fn of(part: Part, source: &'t str) -> Self {
        let mut read = Self { part, source, tags: Vec::new(), faults: Vec::new(), named: Vec::new(), globals: Vec::new() };
        if let Err(exceeded) = bounds::check(source) {
            let Exceeded { line, column, message } = exceeded;
            let part = part.name();
            read.faults.push(Fault {
                part,
                line: Some(line),
                column: Some(column),
                code: Code::TemplateTooComplex,
                message,
                near: Vec::new(),
            });
            return read;
        }
        let environment = environment(part, &Locale::default());
        read.tags = scan::tags(source);
        read.of_tags(&environment);
        let compile = || {
            let compiled = environment.template_from_named_str(part.name(), source);
            compiled.map(|compiled| compiled.undeclared_variables(true))
        };
        match on_a_stack(compile) {
            Some(Ok(named)) => {
                read.named = named.into_iter().collect();
                read.named.sort();
                read.globals = environment.globals().map(|(name, _)| name.to_owned()).collect();
            }
            Some(Err(error)) => read.faults.extend(read.of_syntax(&error)),
            None => read.faults.push(read.fault(None, "", Code::TemplateSyntax, "the part cannot be parsed".to_owned(), vec![])),
        }
        read
    }

    fn fault(&self, line: Option<usize>, word: &str, code: Code, message: String, near: Vec<&str>) -> Fault {
        Fault {
            part: self.part.name(),
            line,
            column: line.and_then(|line| column(self.source, line, word)),
            code,
            message: format!("{message}{}", proposal(&near)),
            near: near.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Finds forbidden statements and filters, and unknown filters.
    fn of_tags(&mut self, environment: &Environment<'_>) {
        let mut known: HashMap<&str, bool> = HashMap::new();
        let mut faults = Vec::new();
        for tag in &self.tags {
            if let Some(keyword) = tag.keyword().filter(|keyword| FORBIDDEN_STATEMENTS.contains(keyword))
                && !keyword.starts_with("end")
            {
                let message = format!("'{keyword}' is not allowed in a template");
                faults.push(self.fault(Some(tag.line), keyword, Code::TemplateForbidden, message, vec![]));
            }
            for (name, line) in tag.filters() {
                if name == "safe" {
                    let message = "the filter 'safe' is not allowed: values are always escaped".to_owned();
                    faults.push(self.fault(Some(line), name, Code::TemplateForbidden, message, vec![]));
                } else if !*known.entry(name).or_insert_with(|| is_filter(environment, name)) {
                    let near = nearest(name, FILTERS.iter().copied());
                    faults.push(self.fault(Some(line), name, Code::TemplateSyntax, format!("unknown filter '{}'", short(name)), near));
                }
                if faults.len() >= FAULTS_MAX {
                    break;
                }
            }
        }
        self.faults = faults;
    }

    /// The engine's syntax error, unless it is already reported.
    fn of_syntax(&self, error: &minijinja::Error) -> Option<Fault> {
        let message = describe(error);
        let told = message.strip_prefix("unknown statement ").is_some_and(|statement| FORBIDDEN_STATEMENTS.contains(&statement));
        let at = error.range().map(|range| range.start).filter(|at| self.source.is_char_boundary(*at));
        let before = at.and_then(|at| self.source[..at].rsplit('\n').next());
        let column = before.map(|before| before.chars().count() + 1);
        (!told).then(|| Fault { column, ..self.fault(error.line(), "", Code::TemplateSyntax, message, vec![]) })
    }

    /// The violation of using `path`, if it is not offered.
    fn of_name(&self, path: &str, offered: &[&str], names: &HashSet<&str>, groups: &HashSet<&str>) -> Option<Fault> {
        if groups.contains(path) {
            let tag = self.tags.iter().find(|tag| !tag.statement && tag.code.trim() == path)?;
            let message = format!("'{path}' is a group of parameters and cannot be printed; use one of its parameters");
            let members = offered.iter().copied().filter(|name| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
            return Some(self.fault(Some(tag.line), path, Code::TemplateUnknownParameter, message, members.take(3).collect()));
        }
        if names.contains(path) || is_offered(offered, path) || self.globals.iter().any(|name| name == path) {
            return None;
        }
        let line = self.tags.iter().find_map(|tag| tag.line_of(path));
        let message = format!("'{}' is not a parameter of this template's events", short(path));
        Some(self.fault(line, path, Code::TemplateUnknownParameter, message, nearest(path, offered.iter().copied())))
    }
}

/// Limits how much of a name is repeated in a message.
fn short(name: &str) -> &str {
    name.char_indices().nth(100).map_or(name, |(end, _)| &name[..end])
}

/// The column of a whole word in a line.
fn column(source: &str, line: usize, word: &str) -> Option<usize> {
    let text = source.split('\n').nth(line.checked_sub(1)?)?;
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let whole = |(at, _): &(usize, &str)| {
        let (before, after) = (text[..*at].chars().next_back(), text[at + word.len()..].chars().next());
        !word.is_empty() && !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    };
    text.match_indices(word).find(whole).map(|(at, _)| text[..at].chars().count() + 1)
}

/// The engine does not list its filters, but reports unknown ones.
fn is_filter(environment: &Environment<'_>, name: &str) -> bool {
    let probe = format!("1|{name}");
    let outcome = environment.compile_expression(&probe).and_then(|expression| expression.eval(()));
    !outcome.is_err_and(|error| error.kind() == ErrorKind::UnknownFilter)
}

fn proposal(near: &[&str]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}
