//! Notification templates: minijinja in a cage.
//!
//! [`check()`] runs when a template is saved and names every fault; [`Rendering::run`] runs when an event is delivered. Templates are
//! written by tenants, parameters come from outside systems, so neither is trusted:
//!
//! - The source keeps [`bounds`] before the engine compiles it, so that compiling it stays within a stack and a moment.
//! - Fuel bounds the instructions of a render (minijinja charges a unit for each, and for each 64 bytes made), and the output of each
//!   part is capped. Fuel does not bound what one instruction does: a value can contain itself a million times over, and to print or
//!   compare such a value takes for ever or overflows the stack. So [`Rendering::run`] is only for a process that may end at any time:
//!   the gateway renders in processes of their own, with limits of memory and of processor time.
//! - Nothing can be loaded: there are no other templates, files or functions that reach outside.
//! - HTML is escaped by our own formatter, which does not ask the engine's mutable escape mode, and the `safe` filter is
//!   taken out; so neither a filter nor `autoescape` can switch escaping off even if [`check()`] were passed by.
//!
//! Beside the engine's own filters there are `money`, `number`, `date` and `datetime`, which write as the recipient does.
//!
//! **Undefined values are semi-strict.** A parameter that is offered may still be absent from one event (an account without
//! `externalId`), and `{% if account.externalId %}` is how everyone asks for that; the strict mode makes this very question
//! an error. Printing, comparing, looping over or computing with something absent stays an error in both, so a letter never goes out
//! with a hole in it. Typos are no reason for strictness here: [`check()`] finds them when the template is saved.

pub mod bounds;
mod check;
mod locale;
pub mod predefined;
mod scan;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    io, thread,
};

use chrono_tz::Tz;

use minijinja::{
    AutoEscape, Environment, ErrorKind, HtmlEscape, Output, State, UndefinedBehavior, Value,
    value::{Serde, ValueKind},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

pub use self::{
    check::{FAULTS_MAX, Fault, Reading, check},
    locale::{LANGUAGE_DEFAULT, Locale, is_language},
};
use crate::events::envelope::Parameters;

/// Work one part may do: instructions, and 64 bytes made for each unit, so about 3 MB.
const FUEL: u64 = 50_000;

/// Upper bound of each rendered part in bytes.
pub const PART_BYTES_MAX: usize = 256 * 1024;

/// Stack to compile with, whatever thread asks: room for everything that keeps [`bounds`], many times over.
const COMPILER_STACK_BYTES: usize = 16 * 1024 * 1024;

/// Runs on a thread with a stack of [`COMPILER_STACK_BYTES`]; `None` where it panicked, or no thread could be had.
fn on_a_stack<T: Send>(run: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| thread::Builder::new().stack_size(COMPILER_STACK_BYTES).spawn_scoped(scope, run).ok()?.join().ok())
}

/// A template's source, part by part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The subject line.
    pub subject: String,
    /// The plain text body.
    pub text: String,
    /// The HTML body, where there is one.
    pub html: Option<String>,
}

impl Template {
    /// The parts that exist, with their names.
    fn parts(&self) -> impl Iterator<Item = (Part, &str)> {
        [(Part::Subject, Some(&self.subject)), (Part::Text, Some(&self.text)), (Part::Html, self.html.as_ref())]
            .into_iter()
            .filter_map(|(part, source)| Some((part, source?.as_str())))
    }

    /// The parameters it names, whatever it does with them; of a part that does not compile, none.
    pub fn names(&self) -> BTreeSet<String> {
        Reading::of(self).names()
    }
}

/// A template in several languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// The language of `parts`.
    pub language: String,
    /// What is used where no translation fits.
    pub parts: Template,
    /// Translations by language tag.
    pub translations: BTreeMap<String, Template>,
}

impl Translated {
    /// The parts for a reader of `wanted`, found by cutting the tag short until there is a text (RFC 4647 section 3.4), and the language
    /// to format amounts and dates in: the reader's own, or the template's where there is no text for him.
    pub fn lookup<'a>(&'a self, wanted: Option<&'a str>) -> (&'a str, &'a Template) {
        let wanted = wanted.unwrap_or_default();
        let mut range = wanted;
        while !range.is_empty() {
            if range.eq_ignore_ascii_case(&self.language) {
                return (wanted, &self.parts);
            }
            if let Some((_, parts)) = self.translations.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(range)) {
                return (wanted, parts);
            }
            range = range.rfind('-').map_or("", |at| &range[..at]);
        }
        (&self.language, &self.parts)
    }
}

/// Everything a render needs: a template, the parameters of an event, and how its reader writes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rendering {
    /// The template.
    pub parts: Template,
    /// The parameters.
    pub parameters: Parameters,
    /// The reader's language, a BCP 47 tag.
    pub language: String,
    /// The reader's time zone.
    pub zone: Tz,
}

impl Rendering {
    /// Renders here and now; `begin` is told of each part (`subject`, `text`, `html`) before it is rendered. It may never end, take any
    /// memory and overflow the stack: not for a process that is needed for anything else.
    ///
    /// A dotted name becomes a member of an object (`account.name` of `account`); were one name both a value and such an object,
    /// the value would win, as it sorts first. A parameter that is absent, or whose whole group is, can be asked for with `if` and replaced
    /// with `default`; printing it is an error.
    ///
    /// # Errors
    /// The first thing that went wrong. Trying again cannot help.
    pub fn run(&self, mut begin: impl FnMut(&'static str)) -> Result<Rendered, RenderError> {
        render_parts(&self.parts, &self.parameters, &Locale::new(&self.language, self.zone), &mut begin)
    }
}

/// What a template became for one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// One line, without control characters.
    pub subject: String,
    /// The plain text body.
    pub text: String,
    /// The HTML body, where the template has one.
    pub html: Option<String>,
}

/// Why a template could not be rendered. The same event and template will always fail the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{part}{}: {message}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct RenderError {
    /// `subject`, `text` or `html`.
    pub part: Cow<'static, str>,
    /// Where in the part, from 1.
    pub line: Option<usize>,
    /// What went wrong, for people.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Subject,
    Text,
    Html,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Text => "text",
            Self::Html => "html",
        }
    }
}

fn render_parts(
    parts: &Template,
    parameters: &Parameters,
    locale: &Locale,
    begin: &mut dyn FnMut(&'static str),
) -> Result<Rendered, RenderError> {
    let mut part = |part: Part, source: &str| {
        begin(part.name());
        render_part(part, source, parameters, locale)
    };
    let subject = part(Part::Subject, &parts.subject)?;
    if subject.chars().any(char::is_control) {
        return Err(RenderError {
            part: Part::Subject.name().into(),
            line: None,
            message: "the subject has a line break or another control character in it".to_owned(),
        });
    }
    let text = part(Part::Text, &parts.text)?;
    let html = parts.html.as_deref().map(|html| part(Part::Html, html)).transpose()?;
    Ok(Rendered { subject, text, html })
}

#[cfg(test)]
fn render(parts: &Template, parameters: &Parameters, locale: &Locale) -> Result<Rendered, RenderError> {
    render_parts(parts, parameters, locale, &mut |_| ())
}

fn render_part(part: Part, source: &str, parameters: &Parameters, locale: &Locale) -> Result<String, RenderError> {
    bounds::check(source).map_err(|exceeded| RenderError {
        part: part.name().into(),
        line: Some(exceeded.line),
        message: exceeded.message,
    })?;
    let environment = environment(part, locale);
    let mut out = Capped { bytes: Vec::new(), overflown: false };
    let attempt = environment.template_from_named_str(part.name(), source).and_then(|compiled| {
        let named = compiled.undeclared_variables(true);
        compiled.render_captured_to(context(parameters, named.iter().map(String::as_str)), &mut out).map(drop)
    });
    match attempt {
        Ok(()) => String::from_utf8(out.bytes).map_err(|_| RenderError {
            part: part.name().into(),
            line: None,
            message: "the result is not UTF-8".to_owned(),
        }),
        Err(error) => {
            let message = match error.kind() {
                _ if out.overflown => format!("the result is longer than {} KiB", PART_BYTES_MAX / 1024),
                ErrorKind::OutOfFuel => "the template does too much work".to_owned(),
                _ => describe(&error),
            };
            Err(RenderError { part: part.name().into(), line: error.line(), message })
        }
    }
}

/// The engine as templates of this kind may use it.
fn environment(part: Part, locale: &Locale) -> Environment<'static> {
    let mut environment = Environment::new();
    locale.add_to(&mut environment);
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(64);
    // Errors then name the parameter that was undefined. The message is cut to kind and detail by `describe`.
    environment.set_debug(true);
    environment.remove_filter("safe");
    environment.remove_global("debug");
    if part == Part::Html {
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.set_formatter(|out, _, value| print(out, value, true));
    } else {
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_formatter(|out: &mut Output, _: &mut State, value: &Value| print(out, value, false));
    }
    environment
}

/// Prints one value: null as nothing, booleans as JSON does (the engine's own way is Python's `None` and `True`).
fn print(out: &mut Output, value: &Value, escape: bool) -> Result<(), minijinja::Error> {
    let text = match value.kind() {
        ValueKind::None | ValueKind::Undefined => return Ok(()),
        ValueKind::Bool => return Ok(out.write_str(if value.is_true() { "true" } else { "false" })?),
        ValueKind::Number => return Ok(write!(out, "{value}")?),
        ValueKind::String => value.as_str().unwrap_or_default(),
        // Nobody means to mail a debug print; and it could be far longer than the fuel that made it.
        kind => {
            return Err(minijinja::Error::new(
                ErrorKind::InvalidOperation,
                format!("a {kind} cannot be printed; print its members one by one"),
            ));
        }
    };
    if escape && !value.is_safe() {
        write!(out, "{}", HtmlEscape(text))?
    } else {
        out.write_str(text)?
    }
    Ok(())
}

/// What went wrong, without the source listing the engine can add.
fn describe(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) if error.kind() == ErrorKind::SyntaxError => detail.to_owned(),
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// Dotted names as nested objects. Every group a template names exists, if only empty: a parameter of a group that this
/// event lacks altogether is then merely undefined, and `if` and `default` work on it.
fn context<'a>(parameters: &Parameters, named: impl Iterator<Item = &'a str>) -> Value {
    let mut root = Map::new();
    for (name, value) in parameters {
        if let Some((group, leaf)) = descend(&mut root, name) {
            group.entry(leaf).or_insert_with(|| value.clone());
        }
    }
    for name in named {
        // Only the way there is made: what the name itself stands for stays undefined.
        let _ = descend(&mut root, name);
    }
    Value::from(Serde(root))
}

/// The group a dotted name belongs to, made where it is missing, and the name's last segment. `None` where a value stands
/// in the way.
fn descend<'n, 't>(mut group: &'n mut Map<String, Json>, name: &'t str) -> Option<(&'n mut Map<String, Json>, &'t str)> {
    let mut rest = name;
    while let Some((head, tail)) = rest.split_once('.') {
        let node = group.entry(head).or_insert_with(|| Json::Object(Map::new()));
        (group, rest) = (node.as_object_mut()?, tail);
    }
    Some((group, rest))
}

/// Takes bytes until there are too many.
struct Capped {
    bytes: Vec<u8>,
    overflown: bool,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > PART_BYTES_MAX {
            self.overflown = true;
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
