//! An operation's registry entry joined with poem-openapi's metadata of its handler: the route, and path and query parameters with
//! validators compiled from the published schemas.

use billwire_schemas::refusal::Code;

use jsonschema::Validator;
use poem::{Request, http::Method};
use poem_openapi::{
    registry::{MetaOperation, MetaParamIn, MetaSchemaRef},
    types::Type,
};
use serde_json::Value;

use crate::{
    http::{
        problem::{Problem, Violation},
        violations::{self, capped},
    },
    openapi::{
        operation::Operation,
        schema::{compile, tidy},
    },
    types::scalars::{Cursor, Limit},
};

/// The specification that requests are validated against.
pub(crate) struct OperationSpec {
    /// The registry entry.
    pub operation: &'static Operation,
    method: Method,
    /// The documented path, segment by segment: `/accounts/{account}`.
    segments: Vec<String>,
    path: Vec<Parameter>,
    query: Vec<Parameter>,
}

/// The query parameters that every list takes: name, description and schema. Handlers do not declare them.
pub(crate) fn paging() -> [(&'static str, &'static str, MetaSchemaRef); 2] {
    let limit = "Maximum number of items to return. A page has fewer where they are large: it ends before the item that would exceed a number \
                 of bytes (4 MiB of stored JSON by default). Only a response without `nextCursor` is the last page.";
    [("limit", limit, Limit::schema_ref()), ("cursor", "`nextCursor` of the previous page. Absent: the first page.", Cursor::schema_ref())]
}

struct Parameter {
    name: String,
    /// Compiling fails only by a bug in this crate; requests then get 500, and the log has the cause.
    validator: Result<Validator, Problem>,
    whole: bool,
    /// How often it can be listed.
    times_max: usize,
}

impl Parameter {
    fn new(name: &str, schema: &MetaSchemaRef) -> Self {
        let mut schema = serde_json::to_value(schema).unwrap_or_default();
        tidy(&mut schema);
        let times_max = schema["maxItems"].as_u64().and_then(|max| usize::try_from(max).ok()).unwrap_or(1);
        if schema["type"] == "array" {
            schema = schema["items"].take();
        }
        let whole = schema["type"] == "integer";
        Self { name: name.to_owned(), validator: compile(&schema), whole, times_max }
    }

    fn all(operation: &MetaOperation, place: MetaParamIn) -> Vec<Self> {
        let wanted = operation.params.iter().filter(|parameter| parameter.in_type == place);
        wanted.map(|parameter| Self::new(&parameter.name, &parameter.schema)).collect()
    }

    fn check(&self, text: &str, found: &mut Vec<Violation>) -> Result<(), Problem> {
        let validator = self.validator.as_ref().map_err(Problem::internal)?;
        // As in JSON: `parse` would also take `+5`.
        let digits = text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit());
        let value = match text.parse::<i64>() {
            Ok(number) if self.whole && digits => Value::from(number),
            _ => Value::from(text),
        };
        if validator.is_valid(&value) {
            return Ok(());
        }
        found.extend(violations::of(validator.iter_errors(&value)).into_iter().map(|violation| {
            let message = violation.message.replacen("The body", &format!("'{}'", self.name), 1);
            about(&self.name, violation.code, message)
        }));
        Ok(())
    }
}

fn about(name: &str, code: &'static str, message: String) -> Violation {
    Violation { pointer: None, parameter: Some(capped(name)), code, message }
}

/// The path values, in order, and the query pairs.
type Parameters = (Vec<String>, Vec<(String, String)>);

impl OperationSpec {
    /// The operation that `handler` implements at the documented `path`.
    pub fn new(operation: &'static Operation, path: &str, handler: &MetaOperation) -> Self {
        let mut query = Parameter::all(handler, MetaParamIn::Query);
        if operation.takes.cursor {
            query.extend(paging().iter().map(|(name, _, schema)| Parameter::new(name, schema)));
        }
        Self {
            operation,
            method: handler.method.clone(),
            segments: path.split('/').map(str::to_owned).collect(),
            path: Parameter::all(handler, MetaParamIn::Path),
            query,
        }
    }

    /// Whether poem routes `method` and `route` (`/accounts/:param0`) to this operation.
    pub fn is_routed_by(&self, method: &Method, route: &str) -> bool {
        *method == self.method && self.fits(route, |segment| segment.starts_with(':'))
    }

    /// Which segments are literal, and the operation's method, if the request `path` matches; the request's method is ignored.
    pub fn matches(&self, path: &str) -> Option<(Vec<bool>, &Method)> {
        let literal = self.segments.iter().map(|segment| !segment.starts_with('{'));
        self.fits(path, |_| true).then(|| (literal.collect(), &self.method))
    }

    fn fits(&self, path: &str, parameter: impl Fn(&str) -> bool) -> bool {
        let mut found = path.split('/');
        let fits = self
            .segments
            .iter()
            .all(|segment| found.next().is_some_and(|text| if segment.starts_with('{') { parameter(text) } else { segment == text }));
        fits && found.next().is_none()
    }

    /// Validates path and query of a request.
    ///
    /// # Errors
    /// `invalid_parameter` or `unknown_parameter`, with every violation.
    pub fn check(&self, request: &Request) -> Result<Parameters, Problem> {
        let mut found = Vec::new();
        let mut path = Vec::with_capacity(self.path.len());
        for (index, parameter) in self.path.iter().enumerate() {
            match request.raw_path_param(&format!("param{index}")) {
                Some(text) => {
                    parameter.check(text, &mut found)?;
                    path.push(text.to_owned());
                }
                None => found.push(about(&parameter.name, "invalid", format!("'{}' is not UTF-8.", parameter.name))),
            }
        }
        let query = self.check_query(request, &mut found)?;
        let Some(first) = found.first() else { return Ok((path, query)) };
        let code = if found.iter().all(|violation| violation.code == Code::UnknownParameter.as_str()) {
            Code::UnknownParameter
        } else {
            Code::InvalidParameter
        };
        let detail =
            if found.len() == 1 { first.message.clone() } else { format!("The request has {} violations; see errors.", found.len()) };
        Err(Problem::new(code, detail).with_errors(found))
    }

    fn check_query(&self, request: &Request, found: &mut Vec<Violation>) -> Result<Vec<(String, String)>, Problem> {
        if request.uri().query().is_none_or(str::is_empty) {
            return Ok(Vec::new());
        }
        let Ok(pairs) = request.params::<Vec<(String, String)>>() else {
            return Err(Problem::new(Code::InvalidParameter, "The query string is malformed."));
        };
        for (at, (name, text)) in pairs.iter().enumerate() {
            match self.query.iter().find(|parameter| parameter.name == *name) {
                None => found.push(about(name, Code::UnknownParameter.as_str(), self.unknown(name))),
                Some(parameter) if pairs[..at].iter().filter(|(earlier, _)| earlier == name).count() >= parameter.times_max => {
                    let times =
                        if parameter.times_max == 1 { "twice".to_owned() } else { format!("more than {} times", parameter.times_max) };
                    found.push(about(name, "repeated", format!("'{name}' is listed {times}.")));
                }
                Some(parameter) => parameter.check(text, found)?,
            }
        }
        found.truncate(100);
        Ok(pairs)
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<&str> = self.query.iter().map(|parameter| parameter.name.as_str()).collect();
        let those =
            if known.is_empty() { "this operation takes none".to_owned() } else { format!("known parameters: {}", known.join(", ")) };
        format!("There is no query parameter '{}'; {those}.", capped(name))
    }
}
