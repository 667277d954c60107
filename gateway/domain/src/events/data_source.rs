//! Data sources: named paths from an event's object along its relations. A data source adds the parameters of the path's last object.

use billwire_schemas::{
    clock::Timestamp,
    events::{
        catalogue,
        parameters::{Parameter, did_you_mean},
        relations::{self, Relation},
    },
    ids::DataSourceId,
    refusal::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, entity_members},
    rejected::{Rejected, Violation},
};

/// Maximum number of data sources per tenant; each may cost a query per event.
pub const SOURCES_MAX: usize = 50;

/// A data source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataSource {
    /// Object id.
    pub id: DataSourceId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Name, unique within the tenant; also the group of the added parameters.
    pub name: String,
    /// Type of the object whose events get the parameters.
    pub object: String,
    /// The relations to follow.
    pub path: Vec<String>,
    /// Creation time.
    pub created_at: Timestamp,
}

impl DataSource {
    /// The relations of the path.
    pub fn relations(&self) -> Vec<&'static Relation> {
        relations::follow(&self.object, &self.path).unwrap_or_default()
    }

    /// Whether the parameters are available in e-mail only, because the path passes through a contact.
    pub fn email_only(&self) -> bool {
        self.object == "contact" || self.relations().iter().any(|relation| relation.to == "contact")
    }

    /// The added parameter's name for `parameter` of the last object.
    pub fn name_of(&self, parameter: &str) -> Option<String> {
        let (_, rest) = parameter.split_once('.')?;
        Some(format!("{}.{rest}", self.name))
    }

    /// The added parameters, each with the last object's parameter it is based on.
    pub fn parameters(&self) -> Vec<(String, &'static Parameter)> {
        let parameters = self.relations().last().map(|last| relations::parameters(last.to)).unwrap_or_default();
        parameters.iter().filter_map(|parameter| Some((self.name_of(parameter.name)?, parameter))).collect()
    }
}

/// `createDataSource`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new data source's id.
    pub id: DataSourceId,
    /// See [`DataSource::name`].
    pub name: String,
    /// See [`DataSource::object`].
    pub object: String,
    /// See [`DataSource::path`].
    pub path: Vec<String>,
}

/// Whether `name` is a group of built-in parameters.
fn taken(name: &str) -> bool {
    let built_in = || catalogue::all().flat_map(|event| event.parameters().map(|parameter| parameter.name));
    let of_objects = || relations::KINDS.iter().flat_map(|kind| relations::parameters(kind)).map(|parameter| parameter.name);
    let group = |parameter: &'static str| parameter.split_once('.').map_or(parameter, |(group, _)| group);
    ["data", "event", "tenant", "current", "contact", "company"].contains(&name)
        || relations::KINDS.contains(&name)
        || built_in().chain(of_objects()).any(|parameter| group(parameter) == name)
}

/// Decides `createDataSource`; `count` is the tenant's current number of data sources.
///
/// # Errors
/// `too_many_data_sources`, `data_source_name_reserved`, `data_source_object_unknown`, `data_source_path_impossible`.
pub fn create(command: Create, count: usize, now: Timestamp) -> Result<Change<DataSource>, Rejected> {
    if count >= SOURCES_MAX {
        let message = format!("There are already {count} data sources; at most {SOURCES_MAX} are allowed. Delete one first.");
        return Err(Rejected::conflict(Code::TooManyDataSources, message));
    }
    let mut broken = Vec::new();
    if taken(&command.name) {
        let message = format!("'{}' is a group of built-in parameters; choose another name.", command.name);
        broken.push(Violation::new("/name", Code::DataSourceNameReserved, message));
    }
    if !relations::KINDS.contains(&command.object.as_str()) {
        let hint = did_you_mean(&command.object, relations::KINDS.iter().copied());
        let message = format!("There is no object type '{}'.{hint} Object types: {}.", command.object, relations::KINDS.join(", "));
        broken.push(Violation::new("/object", Code::DataSourceObjectUnknown, message));
    } else if let Err(impossible) = relations::follow(&command.object, &command.path) {
        let (name, at) = (&command.path[impossible.step], &impossible.at);
        let exist = if impossible.exist.is_empty() {
            "It has no relations".to_owned()
        } else {
            format!("Its relations: {}", impossible.exist.join(", "))
        };
        let hint = did_you_mean(name, impossible.exist.iter().copied());
        let message = format!("{at} has no relation '{name}'.{hint} {exist}.");
        broken.push(Violation::new(format!("/path/{}", impossible.step), Code::DataSourcePathImpossible, message));
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    Ok(Change::created(DataSource {
        id: command.id,
        version: 1,
        name: command.name,
        object: command.object,
        path: command.path,
        created_at: now,
    }))
}

impl Entity for DataSource {
    const TYPE: &'static str = "dataSource";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(only_version, configuration);
}

#[cfg(test)]
mod tests {
    use super::*;
    use billwire_schemas::ids::fresh;

    fn command(name: &str, object: &str, path: &[&str]) -> Create {
        let path = path.iter().map(|step| (*step).to_owned()).collect();
        Create { id: DataSourceId(fresh()), name: name.into(), object: object.into(), path }
    }

    fn made(name: &str, object: &str, path: &[&str]) -> DataSource {
        create(command(name, object, path), 0, Timestamp::UNIX_EPOCH).expect("a data source").after
    }

    fn refused(name: &str, object: &str, path: &[&str]) -> Rejected {
        create(command(name, object, path), 0, Timestamp::UNIX_EPOCH).unwrap_err()
    }

    #[test]
    fn it_adds_the_parameters_of_the_object_at_its_end() {
        let source = made("cycle", "invoice", &["account", "billCycle"]);
        let parameters = source.parameters();
        assert!(parameters.iter().any(|(name, from)| name == "cycle.name" && from.name == "billCycle.name"), "{parameters:?}");
        assert!(!source.email_only());
    }

    #[test]
    fn a_path_through_a_person_is_for_email_alone() {
        assert!(made("payer", "invoice", &["account", "billingContact"]).email_only());
        assert!(made("behind", "invoice", &["account", "billingContact", "account"]).email_only());
        assert!(made("mine", "contact", &["account"]).email_only());
    }

    #[test]
    fn an_impossible_path_is_refused_with_the_step_and_what_there_is() {
        let refused = refused("x", "invoice", &["account", "bilCycle", "account"]);
        assert_eq!((refused.code.as_str(), refused.violations[0].pointer.as_ref()), ("data_source_path_impossible", "/path/1"));
        assert!(refused.message.contains("Did you mean billCycle") && refused.message.contains("billingContact"), "{}", refused.message);
        assert_eq!(self::refused("x", "package", &["account"]).code, "data_source_path_impossible");
    }

    #[test]
    fn names_and_objects_have_their_rules() {
        let both = refused("account", "invoise", &["account"]);
        assert_eq!(
            both.violations.iter().map(|v| v.code.as_str()).collect::<Vec<_>>(),
            ["data_source_name_reserved", "data_source_object_unknown"]
        );
        assert!(both.violations[1].message.contains("Did you mean invoice"));
        for name in ["data", "current", "event", "billCycle", "contact"] {
            assert_eq!(refused(name, "invoice", &["account"]).code, "data_source_name_reserved", "{name}");
        }
        let full = create(command("x", "invoice", &["account"]), SOURCES_MAX, Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(full.code.as_str(), "too_many_data_sources");
    }
}
