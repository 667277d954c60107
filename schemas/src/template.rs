//! Notification templates, rendered in a sandboxed minijinja environment.
//!
//! [`check()`] runs when a template is stored and reports every violation; [`Rendering::run`] runs when an event is delivered. Tenants
//! write templates and external systems supply parameters, so neither is trusted:
//!
//! - The source must respect the [`bounds`] before the engine compiles it, so that compiling needs little stack and time.
//! - Fuel bounds the instructions of a render (minijinja charges one unit per instruction and per 64 bytes produced), and the output of
//!   each part is capped. Fuel does not bound the work of one instruction: a value can contain itself a million times, and printing or
//!   comparing such a value takes forever or overflows the stack. [`Rendering::run`] is therefore only for processes that may be killed
//!   at any time: the gateway renders in separate processes with memory and CPU time limits.
//! - Nothing can be loaded: no other templates, no files, no functions with external access.
//! - Our own formatter escapes HTML, independently of the engine's mutable escape mode, and the `safe` filter is removed. Neither a
//!   filter nor `autoescape` can turn escaping off, even if [`check()`] is bypassed.
//!
//! In addition to the engine's filters there are `money`, `number`, `date` and `datetime`, which format for the recipient's locale.
//!
//! **Undefined values are semi-strict.** An offered parameter may be absent from an event (an account without `externalId`), and
//! `{% if account.externalId %}` is the usual test for that; strict mode makes this test an error. In both modes, printing, comparing,
//! iterating or computing with an absent value is an error, so no e-mail is sent with a gap. Strict mode is not needed to find typos:
//! [`check()`] finds them when the template is stored.

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

/// Work limit per part, in units of one instruction or 64 bytes of output; about 3 MB.
const FUEL: u64 = 50_000;

/// Maximum size of each rendered part, in bytes.
pub const PART_BYTES_MAX: usize = 256 * 1024;

/// Stack size for compiling, whatever the calling thread: many times what a source within the [`bounds`] needs.
const COMPILER_STACK_BYTES: usize = 16 * 1024 * 1024;

/// Runs on a thread with a stack of [`COMPILER_STACK_BYTES`]; `None` if it panics or no thread can be started.
fn on_a_stack<T: Send>(run: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| thread::Builder::new().stack_size(COMPILER_STACK_BYTES).spawn_scoped(scope, run).ok()?.join().ok())
}

/// The source of a template, by part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The subject line.
    pub subject: String,
    /// The plain text body.
    pub text: String,
    /// The HTML body, if any.
    pub html: Option<String>,
}

impl Template {
    /// The existing parts, with their names.
    fn parts(&self) -> impl Iterator<Item = (Part, &str)> {
        [(Part::Subject, Some(&self.subject)), (Part::Text, Some(&self.text)), (Part::Html, self.html.as_ref())]
            .into_iter()
            .filter_map(|(part, source)| Some((part, source?.as_str())))
    }

    /// The parameters used in any way; a part that does not compile contributes none.
    pub fn names(&self) -> BTreeSet<String> {
        Reading::of(self).names()
    }
}

/// A template in several languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// The language of `parts`.
    pub language: String,
    /// The parts used if no translation matches.
    pub parts: Template,
    /// Translations by language tag.
    pub translations: BTreeMap<String, Template>,
}

impl Translated {
    /// The parts for a reader of `wanted`, found by truncating the tag until a text matches (RFC 4647 section 3.4), and the language for
    /// amounts and dates: the reader's own, or the template's language if no text matches.
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

/// The input of a render: a template, the parameters of an event, and the reader's locale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rendering {
    /// The template.
    pub parts: Template,
    /// The parameters.
    pub parameters: Parameters,
    /// The reader's language, as a BCP 47 tag.
    pub language: String,
    /// The reader's time zone.
    pub zone: Tz,
}

impl Rendering {
    /// Renders in the current process and calls `begin` with each part (`subject`, `text`, `html`) before rendering it. The call may never
    /// return, use any amount of memory, or overflow the stack; use it only in a process that does nothing else.
    ///
    /// A dotted name becomes a member of an object (`account.name` of `account`). If a name is both a value and such an object, the value
    /// wins, because it sorts first. An absent parameter or group can be tested with `if` and replaced with `default`; printing it is an
    /// error.
    ///
    /// # Errors
    /// The first error. Retrying does not help.
    pub fn run(&self, mut begin: impl FnMut(&'static str)) -> Result<Rendered, RenderError> {
        render_parts(&self.parts, &self.parameters, &Locale::new(&self.language, self.zone), &mut begin)
    }
}

/// A template rendered for one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rendered {
    /// One line, without control characters.
    pub subject: String,
    /// The plain text body.
    pub text: String,
    /// The HTML body, if the template has one.
    pub html: Option<String>,
}

/// Why a template could not be rendered. The same event and template always fail in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{part}{}: {message}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct RenderError {
    /// `subject`, `text` or `html`.
    pub part: Cow<'static, str>,
    /// Line in the part, from 1.
    pub line: Option<usize>,
    /// Human-readable error.
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
            message: "the subject must not contain line breaks or other control characters".to_owned(),
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
                _ if out.overflown => format!("the result must not be longer than {} KiB", PART_BYTES_MAX / 1024),
                ErrorKind::OutOfFuel => "the template needs too much work".to_owned(),
                _ => describe(&error),
            };
            Err(RenderError { part: part.name().into(), line: error.line(), message })
        }
    }
}

/// The engine, restricted for templates of this kind.
fn environment(part: Part, locale: &Locale) -> Environment<'static> {
    let mut environment = Environment::new();
    locale.add_to(&mut environment);
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(64);
    // Errors then name the undefined parameter. `describe` reduces the message to kind and detail.
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

/// Prints a value: null as nothing, booleans as in JSON (the engine prints Python's `None` and `True`).
fn print(out: &mut Output, value: &Value, escape: bool) -> Result<(), minijinja::Error> {
    let text = match value.kind() {
        ValueKind::None | ValueKind::Undefined => return Ok(()),
        ValueKind::Bool => return Ok(out.write_str(if value.is_true() { "true" } else { "false" })?),
        ValueKind::Number => return Ok(write!(out, "{value}")?),
        ValueKind::String => value.as_str().unwrap_or_default(),
        // Debug output does not belong in e-mails, and it can be far larger than the fuel spent on it.
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

/// The error without the source listing that the engine can add.
fn describe(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) if error.kind() == ErrorKind::SyntaxError => detail.to_owned(),
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// Converts dotted names to nested objects. Every group that a template names exists, if only empty, so that a parameter of an absent
/// group is merely undefined and works with `if` and `default`.
fn context<'a>(parameters: &Parameters, named: impl Iterator<Item = &'a str>) -> Value {
    let mut root = Map::new();
    for (name, value) in parameters {
        if let Some((group, leaf)) = descend(&mut root, name) {
            group.entry(leaf).or_insert_with(|| value.clone());
        }
    }
    for name in named {
        // Creates the groups only; the name itself stays undefined.
        let _ = descend(&mut root, name);
    }
    Value::from(Serde(root))
}

/// Returns the group of a dotted name, created if missing, and the name's last segment. `None` if a parent is already a value.
fn descend<'n, 't>(mut group: &'n mut Map<String, Json>, name: &'t str) -> Option<(&'n mut Map<String, Json>, &'t str)> {
    let mut rest = name;
    while let Some((head, tail)) = rest.split_once('.') {
        let node = group.entry(head).or_insert_with(|| Json::Object(Map::new()));
        (group, rest) = (node.as_object_mut()?, tail);
    }
    Some((group, rest))
}

/// A writer with a size limit.
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
