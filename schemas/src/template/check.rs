//! What is refused when a template is saved.

use minijinja::{Environment, ErrorKind};

use super::{Locale, Part, Template, describe, environment, scan};
use crate::events::parameters::nearest;

/// A syntax error, or a filter that does not exist.
const SYNTAX: &str = "template_syntax";
/// A name that is no parameter of the events.
const UNKNOWN_PARAMETER: &str = "template_unknown_parameter";
/// Something that exists in the language but not here.
const FORBIDDEN: &str = "template_forbidden";

/// Statements that would load another template or change escaping.
const FORBIDDEN_STATEMENTS: &[&str] = &["include", "import", "from", "extends", "block", "autoescape", "endautoescape"];

/// Proposed for a filter that does not exist.
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

/// One thing that is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `subject`, `text` or `html`.
    pub part: &'static str,
    /// Where in the part, from 1.
    pub line: Option<usize>,
    /// Where in that line, in characters from 1.
    pub column: Option<usize>,
    /// `template_syntax`, `template_unknown_parameter` or `template_forbidden`.
    pub code: &'static str,
    /// What is wrong, for people; it proposes what is in `near`.
    pub message: String,
    /// What may have been meant, nearest first.
    pub near: Vec<String>,
}

/// Finds every fault of every part: syntax (the first error of a part hides what follows it), names that are not among
/// the `offered` parameters, and what templates must not do. A group of parameters (`account` of `account.name`) counts as
/// offered when it is used as an object.
///
/// # Errors
/// The faults, part by part.
pub fn check(template: &Template, offered: &[&str]) -> Result<(), Vec<Fault>> {
    let faults: Vec<Fault> = template.parts().flat_map(|(part, source)| faults(part, source, offered)).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

fn faults(part: Part, source: &str, offered: &[&str]) -> Vec<Fault> {
    let environment = environment(part, &Locale::default());
    let tags = scan::tags(source);
    let fault = |line: Option<usize>, word: &str, code, message: String, near: Vec<&str>| Fault {
        part: part.name(),
        line,
        column: line.and_then(|line| column(source, line, word)),
        code,
        message: format!("{message}{}", proposal(&near)),
        near: near.into_iter().map(str::to_owned).collect(),
    };
    let mut faults = Vec::new();
    for tag in &tags {
        if let Some(keyword) = tag.keyword().filter(|keyword| FORBIDDEN_STATEMENTS.contains(keyword))
            && !keyword.starts_with("end")
        {
            faults.push(fault(Some(tag.line), keyword, FORBIDDEN, format!("'{keyword}' is not allowed in a template"), vec![]));
        }
        for (name, line) in tag.filters() {
            if name == "safe" {
                let message = "the filter 'safe' is not allowed: values are always escaped".to_owned();
                faults.push(fault(Some(line), name, FORBIDDEN, message, vec![]));
            } else if !is_filter(&environment, name) {
                let near = nearest(name, FILTERS.iter().copied());
                faults.push(fault(Some(line), name, SYNTAX, format!("there is no filter '{name}'"), near));
            }
        }
    }
    let compiled = match environment.template_from_named_str(part.name(), source) {
        Ok(compiled) => compiled,
        Err(error) => {
            let message = describe(&error);
            let told = message.strip_prefix("unknown statement ").is_some_and(|statement| FORBIDDEN_STATEMENTS.contains(&statement));
            if !told {
                let at = error.range().map(|range| range.start).filter(|at| source.is_char_boundary(*at));
                let before = at.and_then(|at| source[..at].rsplit('\n').next());
                let column = before.map(|before| before.chars().count() + 1);
                faults.push(Fault { column, ..fault(error.line(), "", SYNTAX, message, vec![]) });
            }
            return faults;
        }
    };
    let mut named: Vec<String> = compiled.undeclared_variables(true).into_iter().collect();
    named.sort();
    for path in named {
        let line = tags.iter().find_map(|tag| tag.line_of(&path));
        if is_group(&path, offered) {
            if let Some(tag) = tags.iter().find(|tag| !tag.statement && tag.code.trim() == path) {
                let message = format!("'{path}' is a group of parameters and cannot be printed; name one of them");
                let members = offered.iter().copied().filter(|name| name.starts_with(&format!("{path}."))).take(3);
                faults.push(fault(Some(tag.line), &path, UNKNOWN_PARAMETER, message, members.collect()));
            }
        } else if !offered.contains(&path.as_str()) && !environment.globals().any(|(name, _)| name == path) {
            let message = format!("'{path}' is not a parameter that the events of this template offer");
            faults.push(fault(line, &path, UNKNOWN_PARAMETER, message, nearest(&path, offered.iter().copied())));
        }
    }
    faults
}

/// Where in a line a word stands as a whole.
fn column(source: &str, line: usize, word: &str) -> Option<usize> {
    let text = source.split('\n').nth(line.checked_sub(1)?)?;
    let part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let whole = |(at, _): &(usize, &str)| {
        let (before, after) = (text[..*at].chars().next_back(), text[at + word.len()..].chars().next());
        !word.is_empty() && !before.is_some_and(part_of_name) && !after.is_some_and(part_of_name)
    };
    text.match_indices(word).find(whole).map(|(at, _)| text[..at].chars().count() + 1)
}

fn is_group(path: &str, offered: &[&str]) -> bool {
    offered.iter().any(|name| name.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The engine has no list of its filters, but says when one does not exist.
fn is_filter(environment: &Environment<'_>, name: &str) -> bool {
    let probe = format!("1|{name}");
    let outcome = environment.compile_expression(&probe).and_then(|expression| expression.eval(()));
    !outcome.is_err_and(|error| error.kind() == ErrorKind::UnknownFilter)
}

fn proposal(near: &[&str]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}
