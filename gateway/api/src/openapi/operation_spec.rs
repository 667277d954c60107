//! An operation as poem-openapi describes it, joined with what [`crate::Operation::all`] says of it, and its path and query
//! parameters with validators made of the very schemas that are published.

use std::{collections::HashMap, sync::LazyLock};

use billwire_schemas::refusal::Code;

use jsonschema::Validator;
use poem::{Request, http::Method};
use poem_openapi::{
    OpenApi,
    registry::{MetaOperation, MetaParamIn},
};
use serde_json::Value;

use crate::{
    Operations,
    http::{
        problem::{Problem, Violation},
        violations::{self, capped},
    },
    openapi::{
        operation::Operation,
        schema::{compile, tidy},
    },
};

/// An operation, described.
pub(crate) struct OperationSpec {
    /// Its entry in the table.
    pub asks: &'static Operation,
    path: Vec<Parameter>,
    query: Vec<Parameter>,
}

struct Parameter {
    name: String,
    /// Compiling it can only fail by a mistake in this crate; then requests are answered 500 and say so in the log.
    validator: Result<Validator, Problem>,
    whole: bool,
}

/// Every described operation by method and path template; those without an entry in the table are missing.
static DESCRIBED: LazyLock<HashMap<(Method, String), OperationSpec>> = LazyLock::new(|| {
    let paths = Operations::meta().into_iter().flat_map(|api| api.paths);
    let each = paths.flat_map(|path| path.operations.into_iter().map(move |operation| (path.path.clone(), operation)));
    each.filter_map(|(path, operation)| Some(((operation.method.clone(), routed(&path)), OperationSpec::of(&operation)?))).collect()
});

/// Addresses of all operations with their methods, for `Allow`.
pub(crate) static ADDRESSES: LazyLock<Vec<(Vec<String>, Method)>> = LazyLock::new(|| {
    let paths = Operations::meta().into_iter().flat_map(|api| api.paths);
    let segments = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    paths.flat_map(|path| path.operations.into_iter().map(move |one| (segments(&path.path), one.method))).collect()
});

/// A documented path (`/accounts/{account}`) as it is routed (`/accounts/:param0`).
fn routed(path: &str) -> String {
    let mut count = 0;
    let segments = path.split('/').map(|segment| {
        if !segment.starts_with('{') {
            return segment.to_owned();
        }
        count += 1;
        format!(":param{}", count - 1)
    });
    segments.collect::<Vec<_>>().join("/")
}

impl Parameter {
    fn all(operation: &MetaOperation, place: MetaParamIn) -> Vec<Self> {
        let wanted = operation.params.iter().filter(|parameter| parameter.in_type == place);
        wanted
            .map(|parameter| {
                let mut schema = serde_json::to_value(&parameter.schema).unwrap_or_default();
                tidy(&mut schema);
                let whole = schema["type"] == "integer";
                Self { name: parameter.name.clone(), validator: compile(&schema), whole }
            })
            .collect()
    }

    fn check(&self, text: &str, found: &mut Vec<Violation>) -> Result<(), Problem> {
        let validator = self.validator.as_ref().map_err(Problem::internal)?;
        let value = match text.parse::<i64>() {
            Ok(number) if self.whole => Value::from(number),
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

/// The values of the path, in order, and the pairs of the query.
type Parameters = (Vec<String>, Vec<(String, String)>);

impl OperationSpec {
    fn of(operation: &MetaOperation) -> Option<Self> {
        let asks = Operation::find(operation.operation_id?)?;
        Some(Self { asks, path: Parameter::all(operation, MetaParamIn::Path), query: Parameter::all(operation, MetaParamIn::Query) })
    }

    /// The operation that is routed by `method` and `route`.
    pub fn find(method: &Method, route: &str) -> Option<&'static Self> {
        DESCRIBED.get(&(method.clone(), route.to_owned()))
    }

    /// Path and query of a request.
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
        let detail = if found.len() == 1 { first.message.clone() } else { format!("{} things are wrong; see errors.", found.len()) };
        Err(Problem::new(code, detail).with_errors(found))
    }

    fn check_query(&self, request: &Request, found: &mut Vec<Violation>) -> Result<Vec<(String, String)>, Problem> {
        if request.uri().query().is_none_or(str::is_empty) {
            return Ok(Vec::new());
        }
        let Ok(pairs) = request.params::<Vec<(String, String)>>() else {
            return Err(Problem::new(Code::InvalidParameter, "The query string cannot be read."));
        };
        for (at, (name, text)) in pairs.iter().enumerate() {
            match self.query.iter().find(|parameter| parameter.name == *name) {
                None => found.push(about(name, Code::UnknownParameter.as_str(), self.unknown(name))),
                Some(_) if pairs[..at].iter().any(|(earlier, _)| earlier == name) => {
                    found.push(about(name, "repeated", format!("'{name}' stands there twice.")));
                }
                Some(parameter) => parameter.check(text, found)?,
            }
        }
        found.truncate(100);
        Ok(pairs)
    }

    fn unknown(&self, name: &str) -> String {
        let known: Vec<&str> = self.query.iter().map(|parameter| parameter.name.as_str()).collect();
        let those = if known.is_empty() { "this operation takes none".to_owned() } else { format!("known are: {}", known.join(", ")) };
        format!("There is no query parameter '{}'; {those}.", capped(name))
    }
}
