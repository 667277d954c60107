//! Table `identity_provider`: which tenant's provider the tokens of an issuer for an audience are from. The providers themselves are
//! configuration.

use billwire_domain::access::{
    identity_provider::IdentityProvider,
    role::Role,
    tenant::{Limits, Status, Tenant},
};
use billwire_schemas::ids::{IdentityProviderId, TenantId};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use crate::{Error, Store, Tx, configurations::Kind};

/// What the store knows of a provider that tokens are from.
#[derive(Debug, Clone)]
pub struct RegisteredProvider {
    /// The tenant that its people act in.
    pub tenant: TenantId,
    /// The provider.
    pub provider: IdentityProvider,
    /// The tenant's own roles.
    pub roles: Vec<Role>,
    /// Whether the tenant is suspended, or being deleted.
    pub suspended: bool,
    /// The tenant's own limits.
    pub limits: Limits,
}

fn registered(row: &QueryResult) -> Result<RegisteredProvider, Error> {
    let (tenant, body): (String, String) = (row.try_get("", "tenant")?, row.try_get("", "body")?);
    let whose: Option<String> = row.try_get("", "whose")?;
    let whose: Option<Tenant> = whose.map(|body| serde_json::from_str(&body)).transpose().map_err(Error::corrupt("configuration"))?;
    Ok(RegisteredProvider {
        tenant: tenant.parse().map_err(|_| Error::Corrupt { table: "identity_provider", detail: tenant })?,
        provider: serde_json::from_str(&body).map_err(Error::corrupt("configuration"))?,
        roles: Vec::new(),
        suspended: whose.as_ref().is_some_and(|tenant| tenant.status != Status::Active),
        limits: whose.map(|tenant| tenant.limits).unwrap_or_default(),
    })
}

impl Store {
    /// The provider that tokens of this issuer for these audiences are from. `None`: there is none, or it is not clear which, since the
    /// audiences are those of several.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn identity_provider_of(&self, issuer: &str, audiences: &[&str]) -> Result<Option<RegisteredProvider>, Error> {
        if audiences.is_empty() {
            return Ok(None);
        }
        let marks: Vec<String> = (2..audiences.len() + 2).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT i.tenant, o.body, t.body AS whose FROM identity_provider i JOIN configuration o ON o.id = i.id \
             LEFT JOIN configuration t ON t.tenant = 'default' AND t.kind = 'tenant' AND t.name = i.tenant \
             WHERE i.issuer = $1 AND i.audience IN ({}) LIMIT 2",
            marks.join(", ")
        );
        let values = [issuer].into_iter().chain(audiences.iter().copied()).map(Value::from);
        let rows = self.0.read.query_all_raw(self.statement(&sql, values)).await?;
        let [row] = rows.as_slice() else { return Ok(None) };
        let mut found = registered(row)?;
        found.roles = self.configurations(&found.tenant, Kind::Role).await?;
        Ok(Some(found))
    }
}

impl Tx<'_> {
    /// Lets tokens of a provider's issuer for its audience be from it, and those of its former ones no longer.
    pub fn save_issuer(&mut self, provider: &IdentityProvider) {
        let sql = "INSERT INTO identity_provider (id, tenant, issuer, audience) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (id) DO UPDATE SET issuer = excluded.issuer, audience = excluded.audience";
        let tenant = self.tenant().as_str().to_owned();
        let values = vec![provider.id.0.into(), tenant.into(), provider.issuer.as_str().into(), provider.audience.as_str().into()];
        self.defer(sql.to_owned(), values);
    }

    /// Forgets the issuer of a provider.
    pub fn delete_issuer(&mut self, provider: IdentityProviderId) {
        self.defer("DELETE FROM identity_provider WHERE id = $1".to_owned(), vec![provider.0.into()]);
    }
}
