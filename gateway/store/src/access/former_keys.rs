//! What version 0.2 knew of access. Table `api_key` has keys with an unkeyed hash: they become API keys with a credential. Tenants were only
//! names: they become objects of the operator's own tenant.

use aws_lc_rs::hmac;
use billwire_domain::access::{
    api_key::ApiKey,
    tenant::{self, Limits, Tenant},
};
use billwire_schemas::{
    clock::{Clock, SystemClock},
    ids::{ApiKeyId, TenantId, TenantObjectId, fresh},
};
use sea_orm::{ConnectionTrait, EntityTrait, QueryFilter, sea_query::OnConflict};

use crate::{
    Error, Store,
    access::credentials::{ADMIN_KEY, INSERT, hash_of_digest},
    configurations::{Kind, named, row_of},
    entity::{
        configuration::{self, Column},
        setting,
    },
    moment, settings,
};

async fn insert(conn: &impl ConnectionTrait, row: configuration::Model) -> Result<(), Error> {
    configuration::Entity::insert(configuration::ActiveModel::from(row)).exec_without_returning(conn).await?;
    Ok(())
}

impl Store {
    /// Makes an object of each tenant that has none: the operator's own, and those of versions that knew none.
    pub(crate) async fn adopt_tenants(&self) -> Result<(), Error> {
        let (operator, now) = (TenantId::default_tenant(), SystemClock.now());
        let known: Vec<Tenant> = self.configurations(&operator, Kind::Tenant).await?;
        let mut missing = self.tenants_with_keys().await?;
        missing.push(operator.clone());
        missing.retain(|tenant| !known.iter().any(|known| known.tenant_id == *tenant));
        for tenant in missing {
            let made = tenant::create(TenantObjectId(fresh()), tenant.clone(), tenant.to_string(), Limits::default(), now).after;
            let row = configuration::ActiveModel::from(row_of(operator.as_str(), Kind::Tenant, tenant.as_str(), &made)?);
            // Another process may start at the same time, or the operator's tenant may be listed twice.
            let mut clash = OnConflict::columns([Column::Tenant, Column::Kind, Column::Name]);
            configuration::Entity::insert(row).on_conflict(clash.do_nothing().to_owned()).exec_without_returning(&self.0.write).await?;
        }
        Ok(())
    }

    /// Turns the keys of version 0.2 into API keys, all or none. They keep working.
    pub(crate) async fn adopt_former_keys(&self, key: &hmac::Key) -> Result<(), Error> {
        // Nearly every start finds none, and then writes nothing.
        if self.0.read.query_one_raw(self.statement("SELECT 1 FROM api_key LIMIT 1", [])).await?.is_none() {
            return Ok(());
        }
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
                roles: Vec::new(),
                expires_at: None,
                allowed_networks: Vec::new(),
                created_by: "billwire 0.2".to_owned(),
                created_at: moment(created_at),
                rotated_at: None,
                former_works_until: None,
                revoked_at: revoked_at.map(moment),
            };
            insert(&*tx, row_of(&tenant, Kind::ApiKey, &name, &adopted)?).await?;
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
