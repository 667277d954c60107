//! Configuration within a unit's transaction.

use std::sync::Arc;

use billwire_domain::{Entity, access::identity_provider::IdentityProvider, events::data_source::DataSource};
use billwire_schemas::ids::{SubscriptionId, TenantId};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, Statement, Value,
    sea_query::{ExprTrait, LikeExpr},
};
use uuid::Uuid;

use super::{Tx, parse, text};
use crate::{
    Error,
    by_revision::ByRevision,
    configurations::{Configuration, Kind, aad, named, revision, row_of},
    entity::configuration,
    error::Failure,
    micros, outbox,
};

impl Tx<'_> {
    /// The configuration object, if this tenant has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configuration<T: serde::de::DeserializeOwned>(&self, kind: Kind, id: Uuid) -> Result<Option<T>, Failure> {
        let same = configuration::Column::Tenant.eq(self.tenant.as_str()).and(configuration::Column::Kind.eq(kind.name()));
        let row = configuration::Entity::find_by_id(id).filter(same).one(self.conn).await.map_err(Error::from)?;
        Ok(row.map(|row| parse("configuration", &row.body)).transpose()?)
    }

    /// Every configuration object of a kind.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configurations<T: serde::de::DeserializeOwned>(&self, kind: Kind) -> Result<Vec<T>, Failure> {
        let same = configuration::Column::Tenant.eq(self.tenant.as_str()).and(configuration::Column::Kind.eq(kind.name()));
        let rows = configuration::Entity::find().filter(same).all(self.conn).await.map_err(Error::from)?;
        Ok(rows.iter().map(|row| parse("configuration", &row.body)).collect::<Result<_, _>>()?)
    }

    /// The configuration objects of a kind whose names start with `prefix`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configurations_like<T: serde::de::DeserializeOwned>(&self, kind: Kind, prefix: &str) -> Result<Vec<T>, Failure> {
        let same = Condition::all()
            .add(configuration::Column::Tenant.eq(self.tenant.as_str()))
            .add(configuration::Column::Kind.eq(kind.name()))
            .add(
                configuration::Column::Name
                    .like(LikeExpr::new(format!("{}%", prefix.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))).escape('\\')),
            );
        let rows = configuration::Entity::find().filter(same).all(self.conn).await.map_err(Error::from)?;
        Ok(rows.iter().map(|row| parse("configuration", &row.body)).collect::<Result<_, _>>()?)
    }

    /// The revision of the tenant's configuration: the number of its changes. What was read at the same revision has not changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revision(&self) -> Result<i64, Failure> {
        let mut known = self.loaded.revisions.lock().await;
        if let Some(revision) = known.get(&self.tenant) {
            return Ok(*revision);
        }
        let revision = revision(self.conn, &self.tenant).await?;
        known.insert(self.tenant.clone(), revision);
        Ok(revision)
    }

    /// The tenant's data sources; read again only after a change of its configuration.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn data_sources(&self) -> Result<Arc<Vec<DataSource>>, Failure> {
        self.known(&self.known.data_sources, Kind::DataSource).await
    }

    /// Whether the tenant wants whole business transactions on the stream; read again only after a change of its configuration.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn publishes_business_transactions(&self) -> Result<bool, Failure> {
        let settings = self.known(&self.known.stream_settings, Kind::StreamSettings).await?;
        Ok(settings.first().is_some_and(|settings| settings.business_transactions))
    }

    /// The objects of a kind, of which `known` has what was read last.
    async fn known<T: serde::de::DeserializeOwned>(&self, known: &ByRevision<T>, kind: Kind) -> Result<Arc<Vec<T>>, Failure> {
        let revision = self.revision().await?;
        match known.get(&self.tenant) {
            Some((of, objects)) if of == revision => Ok(objects),
            _ => Ok(known.keep(&self.tenant, revision, self.configurations(kind).await?)),
        }
    }

    /// The configuration object of this kind and name, if this tenant has it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn configuration_named<T: serde::de::DeserializeOwned>(&self, kind: Kind, name: &str) -> Result<Option<T>, Failure> {
        let row = configuration::Entity::find().filter(named(&self.tenant, kind, name)).one(self.conn).await.map_err(Error::from)?;
        Ok(row.map(|row| parse("configuration", &row.body)).transpose()?)
    }

    /// Whether this tenant has a configuration object of this kind and name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_configuration(&self, kind: Kind, name: &str) -> Result<bool, Failure> {
        Ok(configuration::Entity::find().filter(named(&self.tenant, kind, name)).one(self.conn).await.map_err(Error::from)?.is_some())
    }

    /// Whether another identity provider, of any tenant, has the issuer and audience of this one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_issuer_taken(&self, provider: &IdentityProvider) -> Result<bool, Failure> {
        let sql = "SELECT 1 FROM identity_provider WHERE issuer = $1 AND audience = $2 AND id <> $3";
        let values: [Value; 3] = [provider.issuer.as_str().into(), provider.audience.as_str().into(), provider.id.0.into()];
        let statement = Statement::from_sql_and_values(self.conn.get_database_backend(), sql, values);
        Ok(self.conn.query_one_raw(statement).await.map_err(Error::from)?.is_some())
    }

    /// Saves a created configuration object; `secrets` are sealed with its id and kind.
    ///
    /// # Errors
    /// When the database fails or it cannot be written as JSON.
    pub async fn save_configuration<T: serde::Serialize + Entity>(&mut self, new: Configuration<T>) -> Result<(), Failure> {
        let secrets = new.secrets.map(|secrets| self.sealer.seal(&secrets, &aad(&self.tenant, new.kind, new.id)));
        // It waits for all transactions that record events.
        let start_position = if new.kind.is_routing() { self.present_position().await? } else { 0 };
        let row = row_of(self.tenant.as_str(), new.kind, &new.name, &new.body)?;
        let (created_at, secrets) = (micros(new.created_at), secrets.transpose()?);
        // A retired version of an event type is in a row of its own, beside the type whose id its body has.
        self.save_configuration_row(configuration::Model { id: new.id, start_position, created_at, secrets, ..row });
        Ok(())
    }

    /// Saves a configuration object of another tenant, which is new: it counts from the tenant's first event on.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn save_configuration_of<T>(&mut self, tenant: &TenantId, kind: Kind, name: &str, body: &T) -> Result<(), Failure>
    where
        T: serde::Serialize + Entity,
    {
        self.save_configuration_row(row_of(tenant.as_str(), kind, name, body)?);
        Ok(())
    }

    fn save_configuration_row(&mut self, row: configuration::Model) {
        self.writes.configurations.push(row);
    }

    /// The outbox position that everything committed until now has, and nothing that commits later.
    async fn present_position(&self) -> Result<i64, Failure> {
        Ok(outbox::settle(self.conn).await?)
    }

    /// Sets the start position of a configuration object to now: it gets only events that commit later.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start_configuration_anew(&mut self, id: Uuid) -> Result<(), Failure> {
        let position = self.present_position().await?;
        self.defer("UPDATE configuration SET start_position = $1 WHERE id = $2".to_owned(), vec![position.into(), id.into()]);
        Ok(())
    }

    /// The secrets of a configuration object, opened.
    ///
    /// # Errors
    /// When the database fails or they do not belong to this row.
    pub async fn secrets(&self, kind: Kind, id: Uuid) -> Result<Option<String>, Failure> {
        let same = configuration::Column::Tenant.eq(self.tenant.as_str()).and(configuration::Column::Kind.eq(kind.name()));
        let row = configuration::Entity::find_by_id(id).filter(same).one(self.conn).await.map_err(Error::from)?;
        let sealed = row.and_then(|row| row.secrets);
        Ok(sealed.map(|sealed| self.sealer.open(&sealed, &aad(&self.tenant, kind, id))).transpose()?)
    }

    /// Replaces the secrets of a configuration object.
    ///
    /// # Errors
    /// When they cannot be sealed.
    pub fn change_secrets(&mut self, kind: Kind, id: Uuid, secrets: &str) -> Result<(), Failure> {
        let sealed = self.sealer.seal(secrets, &aad(&self.tenant, kind, id))?;
        self.defer("UPDATE configuration SET secrets = $1 WHERE id = $2".to_owned(), vec![sealed.into(), id.into()]);
        Ok(())
    }

    /// Discards all open deliveries of a subscription, without an attempt.
    pub fn discard_waiting(&mut self, subscription: SubscriptionId, why: &'static str) {
        let sql = "UPDATE delivery SET state = 'discarded', next_attempt_at = NULL, last_detail = $1 \
                   WHERE subscription_id = $2 AND state IN ('waiting', 'blocking')";
        self.defer(sql.to_owned(), vec![why.into(), subscription.0.into()]);
    }

    /// Changes a configuration object's document.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn change_configuration<T: serde::Serialize>(&mut self, id: Uuid, version: i64, name: String, body: &T) -> Result<(), Failure> {
        self.writes.changed_configurations.push((id, version, name, text("configuration", body)?));
        Ok(())
    }

    /// Deletes a configuration object.
    pub fn delete_configuration(&mut self, id: Uuid) {
        self.writes.deleted_configurations.push(id);
    }
}
