//! API keys. Only a SHA-256 of the random part rests here: it has 256 bits of entropy, so a slow hash adds nothing.

use billwire_schemas::{clock::Timestamp, ids::TenantId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{Error, Store, entity::api_key, micros, moment};

/// A key as it rests.
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
    /// When it was made.
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

impl Store {
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
        let row = api_key::ActiveModel {
            id: Set(key.id.clone()),
            tenant: Set(key.tenant.to_string()),
            name: Set(key.name.clone()),
            hash: Set(key.hash.clone()),
            scopes: Set(key.scopes.join(" ")),
            created_at: Set(micros(key.created_at)),
            revoked_at: Set(key.revoked_at.map(micros)),
        };
        let mut clash = OnConflict::column(api_key::Column::Id);
        clash.update_columns([api_key::Column::Hash, api_key::Column::Scopes, api_key::Column::Name]);
        api_key::Entity::insert(row).on_conflict(clash).exec_without_returning(&self.0.write).await?;
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
