//! API keys. Only a SHA-256 of the key is stored: it has 256 bits of entropy, so a slow hash adds nothing.

use billwire_schemas::{clock::Timestamp, ids::TenantId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{
    Error, Store,
    entity::{api_key, setting},
    micros, moment,
};

/// A stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The public part, which finds the row.
    pub id: String,
    /// The tenant it acts in.
    pub tenant: TenantId,
    /// What it is for; the actor of its business transactions.
    pub name: String,
    /// Hex SHA-256 of the whole key.
    pub hash: String,
    /// Its scopes; `*` is every scope.
    pub scopes: Vec<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

fn parse(row: api_key::Model) -> Result<ApiKey, Error> {
    Ok(ApiKey {
        tenant: row.tenant.parse().map_err(|_| Error::Corrupt { table: "api_key", detail: row.tenant })?,
        id: row.id,
        name: row.name,
        hash: row.hash,
        scopes: row.scopes.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect(),
        created_at: moment(row.created_at),
        revoked_at: row.revoked_at.map(moment),
    })
}

/// The setting with the id of the key that the environment set last.
const SET_BY_ENVIRONMENT: &str = "admin_key";

/// The result of setting the key of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminKey {
    /// The same key was set before.
    Unchanged,
    /// The key was set before and then revoked: it stays revoked.
    Revoked,
    /// The key is valid now.
    Set {
        /// The key that was set before; it is revoked now.
        replaced: Option<String>,
    },
}

fn row_of(key: &ApiKey) -> api_key::ActiveModel {
    api_key::ActiveModel {
        id: Set(key.id.clone()),
        tenant: Set(key.tenant.to_string()),
        name: Set(key.name.clone()),
        hash: Set(key.hash.clone()),
        scopes: Set(key.scopes.join(" ")),
        created_at: Set(micros(key.created_at)),
        revoked_at: Set(key.revoked_at.map(micros)),
    }
}

impl Store {
    /// Makes the key of the environment valid and revokes the one it set before, both or neither. A key that was created in another way
    /// and is set here too stays as it is, and is not revoked when the next one is set.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_admin_key(&self, key: &ApiKey) -> Result<AdminKey, Error> {
        let tx = self.begin().await?;
        let former = setting::Entity::find_by_id(SET_BY_ENVIRONMENT).one(&*tx).await?.map(|row| row.value);
        let present = api_key::Entity::find_by_id(&key.id).one(&*tx).await?.map(parse).transpose()?;
        if former.as_ref() == Some(&key.id) {
            tx.rollback().await?;
            let revoked = present.is_some_and(|present| present.revoked_at.is_some());
            return Ok(if revoked { AdminKey::Revoked } else { AdminKey::Unchanged });
        }
        let live = present.filter(|present| present.revoked_at.is_none());
        let made_otherwise = live.is_some_and(|live| (&live.tenant, &live.name, &live.scopes) != (&key.tenant, &key.name, &key.scopes));
        if !made_otherwise {
            let mut clash = OnConflict::column(api_key::Column::Id);
            clash.update_columns([api_key::Column::Tenant, api_key::Column::Hash, api_key::Column::Scopes, api_key::Column::Name]);
            clash.update_column(api_key::Column::RevokedAt);
            api_key::Entity::insert(row_of(key)).on_conflict(clash).exec_without_returning(&*tx).await?;
        }
        if let Some(former) = &former {
            let live = api_key::Column::Id.eq(former).and(api_key::Column::RevokedAt.is_null());
            let revoke = api_key::Entity::update_many().col_expr(api_key::Column::RevokedAt, Expr::value(micros(key.created_at)));
            revoke.filter(live).exec(&*tx).await?;
        }
        let ours = if made_otherwise { String::new() } else { key.id.clone() };
        let row = setting::ActiveModel { key: Set(SET_BY_ENVIRONMENT.to_owned()), value: Set(ours) };
        let mut clash = OnConflict::column(setting::Column::Key);
        clash.update_column(setting::Column::Value);
        setting::Entity::insert(row).on_conflict(clash).exec_without_returning(&*tx).await?;
        tx.commit().await?;
        Ok(AdminKey::Set { replaced: former.filter(|former| !former.is_empty()) })
    }

    /// The key with this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_key(&self, id: &str) -> Result<Option<ApiKey>, Error> {
        api_key::Entity::find_by_id(id).one(&self.0.read).await?.map(parse).transpose()
    }

    /// Every key, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn api_keys(&self) -> Result<Vec<ApiKey>, Error> {
        let rows = api_key::Entity::find().order_by_asc(api_key::Column::CreatedAt).all(&self.0.read).await?;
        rows.into_iter().map(parse).collect()
    }

    /// Saves a key, replacing one with the same id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn save_api_key(&self, key: &ApiKey) -> Result<(), Error> {
        let mut clash = OnConflict::column(api_key::Column::Id);
        clash.update_columns([api_key::Column::Hash, api_key::Column::Scopes, api_key::Column::Name]);
        api_key::Entity::insert(row_of(key)).on_conflict(clash).exec_without_returning(&self.0.write).await?;
        Ok(())
    }

    /// Revokes a key; `false`: there is no such key, or it is revoked already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_api_key(&self, id: &str, now: Timestamp) -> Result<bool, Error> {
        let live = api_key::Column::Id.eq(id).and(api_key::Column::RevokedAt.is_null());
        let update = api_key::Entity::update_many().col_expr(api_key::Column::RevokedAt, Expr::value(micros(now))).filter(live);
        Ok(update.exec(&self.0.write).await?.rows_affected == 1)
    }
}
