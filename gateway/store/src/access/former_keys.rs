//! Table `api_key` of version 0.2: keys with an unkeyed hash. They become API keys with a credential.

use aws_lc_rs::hmac;
use billwire_domain::access::api_key::ApiKey;
use billwire_schemas::ids::{ApiKeyId, TenantId, fresh};
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter};

use crate::{
    Error, Store,
    access::credentials::{ADMIN_KEY, INSERT, hash_of_digest},
    configurations::{Kind, named},
    entity::{configuration, setting},
    micros, moment, settings,
};

impl Store {
    /// Turns the keys of version 0.2 into API keys, all or none. They keep working.
    pub(crate) async fn adopt_former_keys(&self, key: &hmac::Key) -> Result<(), Error> {
        let tx = self.begin().await?;
        let sql = "DELETE FROM api_key RETURNING id, tenant, name, hash, scopes, created_at, revoked_at";
        let rows = tx.query_all_raw(self.statement(sql, [])).await?;
        if rows.is_empty() {
            return tx.rollback().await;
        }
        let admin = setting::Entity::find_by_id(ADMIN_KEY).one(&*tx).await?.map(|row| row.value);
        for row in &rows {
            let [id, tenant, name, digest, scopes]: [String; 5] = [
                row.try_get("", "id")?,
                row.try_get("", "tenant")?,
                row.try_get("", "name")?,
                row.try_get("", "hash")?,
                row.try_get("", "scopes")?,
            ];
            let of: TenantId = tenant.parse().map_err(|_| Error::Corrupt { table: "api_key", detail: tenant.clone() })?;
            let (created_at, revoked_at): (i64, Option<i64>) = (row.try_get("", "created_at")?, row.try_get("", "revoked_at")?);
            let new = ApiKeyId(fresh());
            // A name stood for several keys; the id tells them apart.
            let taken = configuration::Entity::find().filter(named(&of, Kind::ApiKey, &name)).one(&*tx).await?.is_some();
            let name = if taken { format!("{name} {id}") } else { name };
            let adopted = ApiKey {
                id: new,
                version: 1,
                name: name.clone(),
                starts_with: None,
                scopes: scopes.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
                expires_at: None,
                allowed_networks: Vec::new(),
                created_by: "billwire 0.2".to_owned(),
                created_at: moment(created_at),
                rotated_at: None,
                former_works_until: None,
                revoked_at: revoked_at.map(moment),
            };
            insert(&*tx, &tenant, &adopted).await?;
            let hash = hash_of_digest(key, &digest);
            tx.execute_raw(self.statement(INSERT, [hash.as_str().into(), tenant.into(), new.0.into()])).await?;
            if admin.as_ref() == Some(&id) {
                settings::set(&*tx, ADMIN_KEY, &new.to_string()).await?;
            }
        }
        tracing::info!(keys = rows.len(), "the API keys of the version before were taken over");
        tx.commit().await
    }
}

async fn insert(conn: &impl ConnectionTrait, tenant: &str, key: &ApiKey) -> Result<(), Error> {
    let row = configuration::Model {
        id: key.id.0,
        tenant: tenant.to_owned(),
        kind: Kind::ApiKey.name().to_owned(),
        name: key.name.clone(),
        version: key.version,
        start_position: 0,
        created_at: micros(key.created_at),
        body: serde_json::to_string(key).map_err(Error::corrupt("api_key"))?,
        secrets: None,
    };
    configuration::Entity::insert(configuration::ActiveModel::from(row)).exec_without_returning(conn).await?;
    Ok(())
}
