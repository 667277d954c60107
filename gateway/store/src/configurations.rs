//! Configuration: queues, subscriptions, webhook endpoints, SMTP accounts, notification templates, custom event types and data
//! sources, system users and suppressed addresses. One table, since all of them are small named documents that differ only in their body.

use std::collections::{HashMap, HashSet};

use billwire_domain::Entity;
use billwire_schemas::{clock::Timestamp, ids::TenantId};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement, sea_query::ExprTrait,
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::{
    Error, Store,
    batching::filled,
    entity::configuration,
    micros,
    page::{Page, PageRequest, rows_of_page},
};

/// The kinds of configuration objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A queue.
    Queue,
    /// A subscription.
    Subscription,
    /// A webhook endpoint.
    WebhookEndpoint,
    /// An SMTP account.
    SmtpAccount,
    /// A notification template.
    NotificationTemplate,
    /// A system user.
    SystemUser,
    /// A suppressed address; the address is its name.
    SuppressedAddress,
    /// A custom event type, at its latest version.
    EventType,
    /// An earlier version of a custom event type, named `<type>/v<version>`.
    EventTypeVersion,
    /// A data source.
    DataSource,
    /// The billing settings; there is one object.
    BillingSettings,
    /// The retention settings; there is one object.
    RetentionSettings,
    /// The stream settings; there is one object.
    StreamSettings,
    /// An API key.
    ApiKey,
    /// A stream subscription.
    StreamSubscription,
    /// A role.
    Role,
    /// An identity provider.
    IdentityProvider,
    /// A tenant; the operator's own tenant has them all.
    Tenant,
}

impl Kind {
    /// Whether objects of this kind are in effect from a position of the outbox on, and are read again after a change. Suppressed addresses,
    /// API keys, roles, identity providers and stream subscriptions are asked for when they are needed.
    pub(crate) fn is_routing(self) -> bool {
        !Self::APART.contains(&self)
    }

    /// The kinds that are not routing.
    pub(crate) const APART: [Self; 5] =
        [Self::SuppressedAddress, Self::ApiKey, Self::Role, Self::IdentityProvider, Self::StreamSubscription];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Subscription => "subscription",
            Self::WebhookEndpoint => "webhook_endpoint",
            Self::SmtpAccount => "smtp_account",
            Self::NotificationTemplate => "notification_template",
            Self::SystemUser => "system_user",
            Self::SuppressedAddress => "suppressed_address",
            Self::EventType => "event_type",
            Self::EventTypeVersion => "event_type_version",
            Self::DataSource => "data_source",
            Self::BillingSettings => "billing_settings",
            Self::RetentionSettings => "retention_settings",
            Self::StreamSettings => "stream_settings",
            Self::ApiKey => "api_key",
            Self::StreamSubscription => "stream_subscription",
            Self::Role => "role",
            Self::IdentityProvider => "identity_provider",
            Self::Tenant => "tenant",
        }
    }
}

/// The one object of this name.
pub(crate) fn named(tenant: &TenantId, kind: Kind, name: &str) -> Condition {
    Condition::all()
        .add(configuration::Column::Tenant.eq(tenant.as_str()))
        .add(configuration::Column::Kind.eq(kind.name()))
        .add(configuration::Column::Name.eq(name))
}

/// A configuration object with its body of type `T`.
#[derive(Debug, Clone)]
pub struct Configuration<T> {
    /// Its id.
    pub id: Uuid,
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its document.
    pub body: T,
    /// JSON text of its secrets, in clear only in memory.
    pub secrets: Option<String>,
    /// When it was created, by the machine's clock.
    pub created_at: Timestamp,
}

/// The row of an object of a kind that is in effect from the beginning, without secrets.
pub(crate) fn row_of<T: Serialize + Entity>(tenant: &str, kind: Kind, name: &str, body: &T) -> Result<configuration::Model, Error> {
    Ok(configuration::Model {
        id: body.id(),
        tenant: tenant.to_owned(),
        kind: kind.name().to_owned(),
        name: name.to_owned(),
        version: body.version(),
        start_position: 0,
        created_at: micros(body.created_at()),
        body: serde_json::to_string(body).map_err(Error::corrupt("configuration"))?,
        secrets: None,
    })
}

/// The associated data of sealed secrets: they do not open in another row.
pub(crate) fn aad(tenant: &TenantId, kind: Kind, id: Uuid) -> String {
    aad_of(tenant.as_str(), kind.name(), id)
}

/// The same, from a row's own columns.
pub(crate) fn aad_of(tenant: &str, kind: &str, id: Uuid) -> String {
    format!("configuration|{tenant}|{kind}|{id}")
}

/// A stored configuration object, as the consumers read it.
#[derive(Debug, Clone)]
pub struct Stored<T> {
    /// The tenant.
    pub tenant: TenantId,
    /// Its document.
    pub body: T,
    /// Its start position: events up to this outbox position were committed before it.
    pub start_position: i64,
}

/// The revision of a tenant's configuration.
pub(crate) async fn revision(conn: &impl ConnectionTrait, tenant: &TenantId) -> Result<i64, Error> {
    let sql = "SELECT last_sequence FROM ordering_key WHERE tenant = $1 AND key = 'configuration'";
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, [tenant.as_str().into()]);
    let row = conn.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get("", "last_sequence")).transpose()?.unwrap_or(0))
}

impl Store {
    /// One object of a tenant.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configuration<T: DeserializeOwned>(&self, tenant: &TenantId, kind: Kind, id: Uuid) -> Result<Option<T>, Error> {
        let same = configuration::Column::Tenant.eq(tenant.as_str()).and(configuration::Column::Kind.eq(kind.name()));
        let row = configuration::Entity::find_by_id(id).filter(same).one(&self.0.read).await?;
        row.map(|row| serde_json::from_str(&row.body).map_err(Error::corrupt("configuration"))).transpose()
    }

    /// The object of this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configuration_named<T: DeserializeOwned>(&self, tenant: &TenantId, kind: Kind, name: &str) -> Result<Option<T>, Error> {
        let row = configuration::Entity::find().filter(named(tenant, kind, name)).one(&self.0.read).await?;
        row.map(|row| serde_json::from_str(&row.body).map_err(Error::corrupt("configuration"))).transpose()
    }

    /// Which of these names are taken by objects of a kind.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configurations_named(&self, tenant: &TenantId, kind: Kind, names: &[String]) -> Result<HashSet<String>, Error> {
        let same = configuration::Column::Tenant.eq(tenant.as_str()).and(configuration::Column::Kind.eq(kind.name()));
        let one_of = configuration::Column::Name.is_in(filled(names));
        let find = configuration::Entity::find().select_only().column(configuration::Column::Name).filter(same).filter(one_of);
        Ok(find.into_tuple::<String>().all(&self.0.read).await?.into_iter().collect())
    }

    /// Every object of a kind that a tenant has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configurations<T: DeserializeOwned>(&self, tenant: &TenantId, kind: Kind) -> Result<Vec<T>, Error> {
        let same = configuration::Column::Tenant.eq(tenant.as_str()).and(configuration::Column::Kind.eq(kind.name()));
        let rows = configuration::Entity::find().filter(same).order_by_asc(configuration::Column::Id).all(&self.0.read).await?;
        rows.iter().map(|row| serde_json::from_str(&row.body).map_err(Error::corrupt("configuration"))).collect()
    }

    /// How often a tenant's configuration has changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revision(&self, tenant: &TenantId) -> Result<i64, Error> {
        revision(&self.0.read, tenant).await
    }

    /// Every object of a kind that a tenant has, each with its start position.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn started_configurations<T: DeserializeOwned>(&self, tenant: &TenantId, kind: Kind) -> Result<Vec<(T, i64)>, Error> {
        let same = configuration::Column::Tenant.eq(tenant.as_str()).and(configuration::Column::Kind.eq(kind.name()));
        let rows = configuration::Entity::find().filter(same).order_by_asc(configuration::Column::Id).all(&self.0.read).await?;
        let read = |row: &configuration::Model| {
            serde_json::from_str(&row.body).map(|body| (body, row.start_position)).map_err(Error::corrupt("configuration"))
        };
        rows.iter().map(read).collect()
    }

    /// One object with its secrets opened.
    ///
    /// # Errors
    /// When the database fails or the secrets do not belong to this row.
    pub async fn configuration_with_secrets<T: DeserializeOwned>(
        &self,
        tenant: &TenantId,
        kind: Kind,
        id: Uuid,
    ) -> Result<Option<(T, Option<String>)>, Error> {
        let same = configuration::Column::Tenant.eq(tenant.as_str()).and(configuration::Column::Kind.eq(kind.name()));
        let Some(row) = configuration::Entity::find_by_id(id).filter(same).one(&self.0.read).await? else { return Ok(None) };
        let body = serde_json::from_str(&row.body).map_err(Error::corrupt("configuration"))?;
        let aad = aad(tenant, kind, id);
        let secrets = row.secrets.map(|sealed| self.0.sealer.open(&sealed, &aad)).transpose()?;
        Ok(Some((body, secrets)))
    }

    /// A page of a tenant's objects of one kind, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn list_configurations<T: DeserializeOwned>(
        &self,
        tenant: &TenantId,
        kind: Kind,
        page_request: PageRequest,
    ) -> Result<Page<T>, Error> {
        let mut filter =
            Condition::all().add(configuration::Column::Tenant.eq(tenant.as_str())).add(configuration::Column::Kind.eq(kind.name()));
        if let Some(after) = page_request.after {
            filter = filter.add(configuration::Column::Id.gt(after.id));
        }
        let find = configuration::Entity::find().filter(filter).order_by_asc(configuration::Column::Id);
        let (rows, next) = rows_of_page(&self.0.read, find, None, page_request).await?;
        let items = rows.iter().map(|row| serde_json::from_str(&row.body).map_err(Error::corrupt("configuration")));
        Ok(Page { items: items.collect::<Result<_, _>>()?, next })
    }

    /// Every object of a kind that one of these tenants has: what the consumers work from.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configurations_of<T: DeserializeOwned>(&self, tenants: &[TenantId], kind: Kind) -> Result<Vec<Stored<T>>, Error> {
        let mut found = Vec::new();
        for some in tenants.chunks(TENANTS_AT_ONCE) {
            let tenants: Vec<&str> = some.iter().map(TenantId::as_str).collect();
            let same = configuration::Column::Tenant.is_in(filled(&tenants)).and(configuration::Column::Kind.eq(kind.name()));
            let rows = configuration::Entity::find().filter(same).order_by_asc(configuration::Column::Id).all(&self.0.read).await?;
            for row in rows {
                found.push(Stored {
                    tenant: row.tenant.parse().map_err(|_| Error::Corrupt { table: "configuration", detail: row.tenant })?,
                    body: serde_json::from_str(&row.body).map_err(Error::corrupt("configuration"))?,
                    start_position: row.start_position,
                });
            }
        }
        Ok(found)
    }

    /// The changes of any tenant's configuration, by whichever process, in number; and how many queues are held.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configuration_revision(&self) -> Result<(i64, i64), Error> {
        let sql = "SELECT CAST(COALESCE(SUM(last_sequence), 0) AS BIGINT) AS changes, (SELECT COUNT(*) FROM held_queue) AS held \
                   FROM ordering_key WHERE key = 'configuration'";
        let row = self.0.read.query_one_raw(self.statement(sql, [])).await?;
        Ok(row.map(|row| Ok::<_, DbErr>((row.try_get("", "changes")?, row.try_get("", "held")?))).transpose()?.unwrap_or_default())
    }

    /// The changes of each tenant's configuration, in number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configuration_changes(&self) -> Result<HashMap<TenantId, i64>, Error> {
        let sql = "SELECT tenant, last_sequence FROM ordering_key WHERE key = 'configuration'";
        let mut changes = HashMap::new();
        for row in self.0.read.query_all_raw(self.statement(sql, [])).await? {
            let tenant: String = row.try_get("", "tenant")?;
            let tenant = tenant.parse().map_err(|_| Error::Corrupt { table: "ordering_key", detail: tenant })?;
            changes.insert(tenant, row.try_get("", "last_sequence")?);
        }
        Ok(changes)
    }
}

/// Tenants whose configuration is read by one statement.
const TENANTS_AT_ONCE: usize = 64;
