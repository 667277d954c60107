//! Data sources.

use billwire_app::{CreateDataSource, domain::events::data_source};
use billwire_schemas::ids::{DataSourceId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, create, created, delete, get, list},
    types::example::{example_id, example_moment},
    types::scalars::{DataSourceName, Moment, ObjectKind, Reference, RelationName},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Relation paths from an event's object to other objects, whose parameters they add to the event.
    #[oai(rename = "Data sources")]
    DataSources,
}

pub(crate) struct DataSources;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createDataSource",
        "data_sources:write",
        &[
            Code::NameTaken,
            Code::TooManyDataSources,
            Code::DataSourceNameReserved,
            Code::DataSourceObjectUnknown,
            Code::DataSourcePathImpossible,
        ],
        created("dataSource", "DataSource", &[]),
    ),
    list("listDataSources", "data_sources:read"),
    get("getDataSource", "data_sources:read", &[Code::DataSourceNotFound]),
    delete("deleteDataSource", "data_sources:write", &[Code::DataSourceNotFound, Code::StillInUse], "dataSource", "DataSource"),
];

/// The data source to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct DataSourceInput {
    /// Name; unique among data sources, and different from the groups of built-in parameters. The added parameters are named
    /// `<name>.<parameter>`.
    name: DataSourceName,
    /// Object type whose events get the parameters, such as `account` or `invoice`.
    object: ObjectKind,
    /// The relations to follow from that object, each to one other object.
    #[oai(validator(min_items = 1, max_items = 8))]
    path: Vec<RelationName>,
}

impl Validate for DataSourceInput {}

impl Example for DataSourceInput {
    fn example() -> Self {
        Self { name: "payee".into(), object: "account".into(), path: vec!["billingContact".into()] }
    }
}

/// A data source: a named relation path from an event's object to another object, whose parameters it adds to the event.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct DataSource {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// Name; prefix of the added parameters.
    name: String,
    /// Object type whose events get the parameters.
    object: String,
    /// The relations of the path.
    path: Vec<String>,
    /// Creation time.
    created_at: Moment,
}

impl Example for DataSource {
    fn example() -> Self {
        Self {
            id: example_id(0x201),
            version: 1,
            name: "cycle".to_owned(),
            object: "account".to_owned(),
            path: vec!["billCycle".to_owned()],
            created_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::DataSources")]
impl DataSources {
    /// Create a data source
    ///
    /// From now on, events of the object type offer the parameters `<name>.<parameter>` of the object at the end of the path, with their
    /// values at the time of the event. Parameters of a path through a contact are available in e-mails only. An impossible path is
    /// refused; the refusal lists the existing relations.
    #[oai(path = "/data-sources", method = "post", operation_id = "createDataSource")]
    async fn create(&self, context: Context, input: Validated<DataSourceInput>) -> Result<Created, Problem> {
        let new = input.body;
        let create = data_source::Create {
            id: DataSourceId(fresh()),
            name: new.name.0,
            object: new.object.0,
            path: new.path.into_iter().map(|step| step.0).collect(),
        };
        let reply = context.execute(input.canonical.as_deref(), CreateDataSource(create)).await?;
        Ok(Created::under("/v1/data-sources", reply))
    }

    /// List data sources
    ///
    /// Oldest first.
    #[oai(path = "/data-sources", method = "get", operation_id = "listDataSources")]
    async fn list(&self, context: Context) -> Result<Listed<DataSource>, Problem> {
        Listed::configurations::<data_source::DataSource>(&context).await
    }

    /// Get a data source
    ///
    /// Returns the object with this id.
    #[oai(path = "/data-sources/:dataSource", method = "get", operation_id = "getDataSource")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or name of the data source.
        #[oai(name = "dataSource")]
        source: Path<Reference>,
    ) -> Result<Found<DataSource>, Problem> {
        Found::of(&context.app().configuration::<data_source::DataSource>(context.tenant(), &source.0.0).await?, &known)
    }

    /// Delete a data source
    ///
    /// Allowed only when no notification template uses its parameters.
    #[oai(path = "/data-sources/:dataSource", method = "delete", operation_id = "deleteDataSource")]
    async fn delete(
        &self,
        context: Context,
        /// Id or name of the data source.
        #[oai(name = "dataSource")]
        source: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<data_source::DataSource>(source.0).await?))
    }
}
