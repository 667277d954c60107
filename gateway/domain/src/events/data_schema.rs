//! JSON Schemas that tenants register (draft 2020-12): permitted keywords, limits, and the parameters offered to templates.
//!
//! The gateway validates every event against its schema, so schemas must be small, shallow and self-contained. Unknown keywords, which
//! JSON Schema ignores, are refused as likely typos. The schema compiler checks that keyword values are well-formed.

mod work;

use std::collections::BTreeMap;

use billwire_schemas::refusal::Code;

use billwire_schemas::events::parameters::{Type, did_you_mean};
use serde_json::{Map, Value};

pub use self::work::{CALL_WORK_MAX, NAMED_WORK_MAX, WORK_MAX, work};
use crate::rejected::Violation;

/// Maximum size of a schema, in bytes of compact JSON.
pub const BYTES_MAX: usize = 64 * 1024;
/// Maximum nesting depth of schemas, with references followed.
pub const DEPTH_MAX: usize = 16;
/// Maximum number of subschemas, with references followed: what one validation may visit per value.
pub const PARTS_MAX: usize = 2_000;
/// Maximum number of patterns in a schema. The automaton of a pattern can be many times larger than the schema.
pub const PATTERNS_MAX: usize = 200;
/// Maximum size of a pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 2_000;

/// Keywords with one subschema.
const ONE: &[&str] = &["additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"];
/// Keywords with a list of subschemas.
const LIST: &[&str] = &["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords with named subschemas.
const NAMED: &[&str] = &["$defs", "patternProperties", "properties"];
/// Assertions without subschemas.
const PLAIN: &[&str] = &[
    "$ref",
    "const",
    "dependentRequired",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "required",
    "type",
    "uniqueItems",
];
/// Keywords that assert nothing.
pub(crate) const ANNOTATIONS: &[&str] = &[
    "$comment",
    "$schema",
    "contentEncoding",
    "contentMediaType",
    "default",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
];
/// Keywords of the draft that are refused: they refer outside the schema, or their meaning depends on adjacent keywords.
const NOT_ALLOWED: &[&str] = &[
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$vocabulary",
    "contentSchema",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// The only supported dialect.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Appends a step to a JSON pointer.
pub(crate) fn step(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The direct subschemas of `schema`, each with its pointer.
fn below<'s>(schema: &'s Value, at: &str) -> Vec<(String, &'s Value)> {
    let mut found = Vec::new();
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let here = step(at, keyword);
        if ONE.contains(&keyword.as_str()) {
            found.push((here, value));
        } else if LIST.contains(&keyword.as_str()) {
            found.extend(value.as_array().into_iter().flatten().enumerate().map(|(index, one)| (format!("{here}/{index}"), one)));
        } else if NAMED.contains(&keyword.as_str()) {
            found.extend(value.as_object().into_iter().flatten().map(|(name, one)| (step(&here, name), one)));
        }
    }
    found
}

/// Validates `schema`; the pointers of violations start with `/schema`.
pub fn faults(schema: &Value) -> Vec<Violation> {
    let bytes = schema.to_string().len();
    if bytes > BYTES_MAX {
        let message = format!("The schema has {bytes} bytes; at most {BYTES_MAX} are allowed.");
        return vec![Violation::new("/schema", Code::SchemaTooLarge, message)];
    }
    let mut found = Vec::new();
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        found.push(Violation::new(
            "/schema/type",
            Code::SchemaNotOfObject,
            "An event's data is an object, so the schema's type must be \"object\".",
        ));
    }
    let dialect = schema.get("$schema").and_then(Value::as_str).map(|dialect| dialect.trim_end_matches('#'));
    if schema.get("$schema").is_some() && dialect != Some(DIALECT) {
        found.push(Violation::new("/schema/$schema", Code::SchemaDialectUnknown, format!("The only supported dialect is {DIALECT}.")));
    }
    keywords(schema, "/schema", 1, &mut found);
    if found.is_empty() {
        found.extend(expanded(schema).err());
        let mut patterns = Vec::new();
        collect_patterns(schema, "/schema", &mut patterns);
        found.extend(patterns.iter().filter(|(_, pattern)| pattern.len() > PATTERN_BYTES_MAX).map(|(at, pattern)| {
            let message = format!("The pattern has {} bytes; at most {PATTERN_BYTES_MAX} are allowed.", pattern.len());
            Violation::new(at.clone(), Code::SchemaTooLarge, message)
        }));
        if patterns.len() > PATTERNS_MAX {
            let message = format!("The schema has {} patterns; at most {PATTERNS_MAX} are allowed.", patterns.len());
            found.push(Violation::new("/schema", Code::SchemaTooLarge, message));
        }
    }
    found
}

/// The number of patterns in a schema.
pub fn patterns(schema: &Value) -> usize {
    let mut found = Vec::new();
    collect_patterns(schema, "", &mut found);
    found.len()
}

/// The patterns in a schema, each with its pointer.
fn collect_patterns<'s>(schema: &'s Value, at: &str, found: &mut Vec<(String, &'s str)>) {
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        found.push((step(at, "pattern"), pattern));
    }
    let here = step(at, "patternProperties");
    let named = schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
    found.extend(named.map(|(pattern, _)| (here.clone(), pattern.as_str())));
    for (at, below) in below(schema, at) {
        collect_patterns(below, &at, found);
    }
}

fn keywords(schema: &Value, at: &str, depth: usize, found: &mut Vec<Violation>) {
    if depth > DEPTH_MAX {
        return found.push(too_deep(at));
    }
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let keyword = keyword.as_str();
        let here = || step(at, keyword);
        if NOT_ALLOWED.contains(&keyword) || (depth > 1 && matches!(keyword, "$defs" | "$schema")) {
            let hint = match keyword {
                "unevaluatedProperties" => " Use additionalProperties.",
                "$defs" | "$schema" => " It is allowed at the top of the schema only.",
                _ => "",
            };
            found.push(Violation::new(here(), Code::SchemaKeywordNotAllowed, format!("'{keyword}' is not allowed.{hint}")));
        } else if keyword == "$ref" {
            if value.as_str().and_then(definition).is_none() {
                let message = "A $ref must have the form #/$defs/<name>; references outside the schema are not allowed.";
                found.push(Violation::new(here(), Code::SchemaReferenceNotAllowed, message));
            }
        } else if !keyword.starts_with("x-") && ![ONE, LIST, NAMED, PLAIN, ANNOTATIONS].iter().any(|known| known.contains(&keyword)) {
            let hint = did_you_mean(keyword, [ONE, LIST, NAMED, PLAIN].into_iter().flatten().copied());
            let message = format!("Unknown keyword '{keyword}'.{hint} Your own annotations must start with x-.");
            found.push(Violation::new(here(), Code::SchemaKeywordUnknown, message));
        }
    }
    for (at, schema) in below(schema, at) {
        keywords(schema, &at, depth + 1, found);
    }
}

/// The name of the referenced definition.
fn definition(reference: &str) -> Option<&str> {
    reference.strip_prefix("#/$defs/").filter(|name| !name.is_empty() && !name.contains(['/', '~', '%']))
}

fn too_deep(at: &str) -> Violation {
    Violation::new(at.to_owned(), Code::SchemaTooDeep, format!("Schemas are nested more than {DEPTH_MAX} levels deep here."))
}

/// Number of subschemas and nesting depth, with references followed.
#[derive(Clone, Copy)]
struct Extent {
    parts: usize,
    depth: usize,
}

fn expanded(schema: &Value) -> Result<Extent, Violation> {
    let none = Map::new();
    let definitions = schema.get("$defs").and_then(Value::as_object).unwrap_or(&none);
    let mut walk = Expansion { definitions, known: BTreeMap::new(), open: Vec::new() };
    for name in definitions.keys() {
        walk.of_definition(name, &step("/schema/$defs", name))?;
    }
    let extent = walk.of(schema, "/schema")?;
    if extent.parts > PARTS_MAX {
        let message = format!("With references followed, the schema has {} subschemas; at most {PARTS_MAX} are allowed.", extent.parts);
        return Err(Violation::new("/schema", Code::SchemaTooLarge, message));
    }
    if extent.depth > DEPTH_MAX { Err(too_deep("/schema")) } else { Ok(extent) }
}

struct Expansion<'s> {
    definitions: &'s Map<String, Value>,
    known: BTreeMap<&'s str, Extent>,
    open: Vec<&'s str>,
}

impl<'s> Expansion<'s> {
    fn of(&mut self, schema: &'s Value, at: &str) -> Result<Extent, Violation> {
        let mut extent = Extent { parts: 1, depth: 1 };
        let mut parts: Vec<Extent> = Vec::new();
        if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(definition) {
            parts.push(self.of_definition(name, &step(at, "$ref"))?);
        }
        for (at, schema) in below(schema, at) {
            if !at.starts_with("/schema/$defs/") || self.open.last().is_some() {
                parts.push(self.of(schema, &at)?);
            }
        }
        for part in parts {
            extent.parts = extent.parts.saturating_add(part.parts);
            extent.depth = extent.depth.max(part.depth + 1);
        }
        Ok(extent)
    }

    fn of_definition(&mut self, name: &str, at: &str) -> Result<Extent, Violation> {
        let Some((name, schema)) = self.definitions.get_key_value(name) else {
            let hint = did_you_mean(name, self.definitions.keys().map(String::as_str));
            return Err(Violation::new(at.to_owned(), Code::SchemaReferenceUnknown, format!("$defs has no '{name}'.{hint}")));
        };
        if let Some(extent) = self.known.get(name.as_str()) {
            return Ok(*extent);
        }
        if self.open.contains(&name.as_str()) {
            let message = format!("The definition '{name}' refers to itself; recursive definitions are not allowed.");
            return Err(Violation::new(at.to_owned(), Code::SchemaReferenceRecursive, message));
        }
        self.open.push(name);
        let extent = self.of(schema, &step("/schema/$defs", name))?;
        self.open.pop();
        self.known.insert(name, extent);
        Ok(extent)
    }
}

/// A top-level member of the data with a scalar value, which templates can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The member's name.
    pub name: String,
    /// Type of the value.
    pub kind: Type,
    /// Meaning, from the schema's description or title.
    pub meaning: String,
}

/// Whether a member of this name can be a parameter: in templates, dots and other punctuation are syntax.
pub fn is_parameter_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The scalar members declared at the top of the schema.
pub fn scalars(schema: &Value) -> Vec<Scalar> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let members = properties.into_iter().flatten().filter(|(name, _)| is_parameter_name(name));
    let declared = members.filter_map(|(name, member)| {
        let kind = scalar(schema, member)?;
        let said = |keyword: &str| member.get(keyword).and_then(Value::as_str);
        let meaning = said("description").or_else(|| said("title")).unwrap_or("A member of the event's data");
        Some(Scalar { name: name.clone(), kind, meaning: meaning.to_owned() })
    });
    declared.collect()
}

/// The type of a member that is always a scalar or null (null counts as absent); `None` for any other member.
fn scalar(schema: &Value, member: &Value) -> Option<Type> {
    if let Some(name) = member.get("$ref").and_then(Value::as_str).and_then(definition) {
        return scalar(schema, schema.get("$defs")?.get(name)?);
    }
    let values = member.get("const").map(std::slice::from_ref).or_else(|| Some(member.get("enum")?.as_array()?.as_slice()));
    let types: Vec<&str> = match (member.get("type"), values) {
        (Some(Value::String(one)), _) => vec![one],
        (Some(Value::Array(some)), _) => some.iter().filter_map(Value::as_str).collect(),
        (_, Some(values)) => values.iter().map(name_of_type).collect(),
        _ => return None,
    };
    let mut kinds: Vec<Type> = Vec::new();
    for name in types {
        kinds.push(match name {
            "null" => continue,
            "string" => Type::String,
            "integer" | "number" => Type::Number,
            "boolean" => Type::Boolean,
            _ => return None,
        });
    }
    kinds.dedup();
    match kinds.as_slice() {
        [] => None,
        [one] => Some(*one),
        _ => Some(Type::String),
    }
}

fn name_of_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests;
