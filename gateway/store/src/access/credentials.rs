//! Table `credential`: for each text of an API key a hash, and the key it belongs to. The keys themselves are configuration.
//!
//! The hash is keyed, so that a copy of the database alone does not tell whether a text is right. A text has 256 bits of entropy, so a slow
//! hash would add nothing.

use std::collections::HashSet;

use aws_lc_rs::{digest, hmac};
use billwire_domain::access::{
    api_key::ApiKey,
    role::Role,
    tenant::{Limits, Status, Tenant},
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{ApiKeyId, IdentityProviderId, TenantId},
};
use sea_orm::{ConnectionTrait, QueryResult};
use uuid::Uuid;

use crate::{
    Error, Store, Tx,
    configurations::Kind,
    error::Failure,
    micros, moment,
    secrets::{Sealer, hex},
};

/// The setting with the key of the hashes.
const HASH_KEY: &str = "api_key_hash_key";
/// The setting with the id of the key whose text `BILLWIRE_ADMIN_KEY` is.
pub const ADMIN_KEY: &str = "admin_key";

/// Length of a pseudonym: 128 bits.
const PSEUDONYM_CHARS: usize = 32;

/// The hash of an API key's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialHash(String);

/// What the store knows of an API key's text.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The tenant that its key acts in.
    pub tenant: TenantId,
    /// Its key.
    pub key: ApiKey,
    /// The tenant's own roles, if the key has roles.
    pub roles: Vec<Role>,
    /// When it stops working, where another text has replaced it.
    pub ends_at: Option<Timestamp>,
    /// When it was last used, if it ever was; not exact.
    pub last_used_at: Option<Timestamp>,
    /// Whether the tenant is suspended, or being deleted.
    pub suspended: bool,
    /// The tenant's own limits.
    pub limits: Limits,
}

const FIND: &str = "SELECT c.tenant, c.ends_at, c.last_used_at, o.body, t.body AS whose FROM credential c \
                    JOIN configuration o ON o.id = c.api_key_id \
                    LEFT JOIN configuration t ON t.tenant = 'default' AND t.kind = 'tenant' AND t.name = c.tenant WHERE c.hash = $1";

fn credential(row: &QueryResult) -> Result<Credential, Error> {
    let (tenant, body): (String, String) = (row.try_get("", "tenant")?, row.try_get("", "body")?);
    let whose: Option<String> = row.try_get("", "whose")?;
    let whose: Option<Tenant> = whose.map(|body| serde_json::from_str(&body)).transpose().map_err(Error::corrupt("configuration"))?;
    let (ends_at, last_used_at): (Option<i64>, Option<i64>) = (row.try_get("", "ends_at")?, row.try_get("", "last_used_at")?);
    Ok(Credential {
        tenant: tenant.parse().map_err(|_| Error::Corrupt { table: "credential", detail: tenant })?,
        key: serde_json::from_str(&body).map_err(Error::corrupt("configuration"))?,
        roles: Vec::new(),
        ends_at: ends_at.map(moment),
        last_used_at: last_used_at.map(moment),
        suspended: whose.as_ref().is_some_and(|tenant| tenant.status != Status::Active),
        limits: whose.map(|tenant| tenant.limits).unwrap_or_default(),
    })
}

/// The hash for the SHA-256 of a text, in hexadecimal digits: all that earlier versions kept of a text.
pub(crate) fn hash_of_digest(key: &hmac::Key, digest: &str) -> CredentialHash {
    CredentialHash(hex(hmac::sign(key, digest.as_bytes()).as_ref()))
}

impl CredentialHash {
    /// The hash that [`std::fmt::Display`] has written.
    pub fn of_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for CredentialHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) const INSERT: &str = "INSERT INTO credential (hash, tenant, api_key_id) VALUES ($1, $2, $3) \
                                 ON CONFLICT (hash) DO UPDATE SET ends_at = NULL, tenant = excluded.tenant, api_key_id = excluded.api_key_id";

impl Store {
    /// The hash of an API key's text.
    ///
    /// # Errors
    /// When the database fails, or the master key does not open the key of the hashes.
    pub async fn credential_hash(&self, text: &str) -> Result<CredentialHash, Error> {
        let key = self.0.hash_key.get_or_try_init(|| self.hash_key()).await?;
        Ok(hash_of_digest(key, &hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())))
    }

    /// A pseudonym of somebody whom an identity provider knows by this subject: keyed, since subjects can be guessed.
    ///
    /// # Errors
    /// Those of [`Store::credential_hash`].
    pub async fn pseudonym(&self, provider: IdentityProviderId, subject: &str) -> Result<String, Error> {
        // No text of a key has a space, so this is the hash of none.
        let CredentialHash(mut hash) = self.credential_hash(&format!("person {provider} {subject}")).await?;
        hash.truncate(PSEUDONYM_CHARS);
        Ok(hash)
    }

    async fn hash_key(&self) -> Result<hmac::Key, Error> {
        let key = self.secret_setting(HASH_KEY, Sealer::fresh_master_key).await?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        self.adopt_former_keys(&key).await?;
        self.adopt_tenants().await?;
        Ok(key)
    }

    /// What is known of the text with this hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn credential(&self, hash: &CredentialHash) -> Result<Option<Credential>, Error> {
        let row = self.0.read.query_one_raw(self.statement(FIND, [hash.as_str().into()])).await?;
        let Some(mut found) = row.as_ref().map(credential).transpose()? else { return Ok(None) };
        if !found.key.roles.is_empty() {
            found.roles = self.configurations(&found.tenant, Kind::Role).await?;
        }
        Ok(Some(found))
    }

    /// Notes that a text was used.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_credential_use(&self, hash: &CredentialHash, at: Timestamp) -> Result<(), Error> {
        let sql = "UPDATE credential SET last_used_at = $2 WHERE hash = $1";
        self.0.write.execute_raw(self.statement(sql, [hash.as_str().into(), micros(at).into()])).await?;
        Ok(())
    }

    /// When a tenant's keys were last used, of those that ever were; not exact.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_uses(&self, tenant: &TenantId) -> Result<Vec<(ApiKeyId, Timestamp)>, Error> {
        let sql =
            "SELECT api_key_id, MAX(last_used_at) AS at FROM credential WHERE tenant = $1 AND last_used_at IS NOT NULL GROUP BY api_key_id";
        let rows = self.0.read.query_all_raw(self.statement(sql, [tenant.as_str().into()])).await?;
        rows.iter().map(|row| Ok((ApiKeyId(row.try_get("", "api_key_id")?), moment(row.try_get("", "at")?)))).collect()
    }

    /// The tenants that are suspended, or deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn suspended_tenants(&self) -> Result<HashSet<TenantId>, Error> {
        let all = self.configurations::<Tenant>(&TenantId::default_tenant(), Kind::Tenant).await?;
        Ok(all.into_iter().filter(|tenant| tenant.status != Status::Active).map(|tenant| tenant.tenant_id).collect())
    }

    /// The tenants that have keys.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tenants_with_keys(&self) -> Result<Vec<TenantId>, Error> {
        let rows = self.0.read.query_all_raw(self.statement("SELECT DISTINCT tenant FROM credential ORDER BY tenant", [])).await?;
        let tenant = |row: &QueryResult| {
            let tenant: String = row.try_get("", "tenant")?;
            tenant.parse().map_err(|_| Error::Corrupt { table: "credential", detail: tenant })
        };
        rows.iter().map(tenant).collect()
    }
}

impl Tx<'_> {
    /// Makes the text with this hash work for a key.
    pub fn save_credential(&mut self, hash: &CredentialHash, key: ApiKeyId) {
        let tenant = self.tenant().clone();
        self.save_credential_of(&tenant, hash, key);
    }

    fn save_credential_of(&mut self, tenant: &TenantId, hash: &CredentialHash, key: ApiKeyId) {
        self.defer(INSERT.to_owned(), vec![hash.as_str().into(), tenant.as_str().into(), key.0.into()]);
    }

    /// Saves a key of another tenant, which is new, with the hash of its text.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn save_key_of(&mut self, tenant: &TenantId, key: &ApiKey, hash: &CredentialHash) -> Result<(), Failure> {
        self.save_configuration_of(tenant, Kind::ApiKey, &key.name, key)?;
        self.save_credential_of(tenant, hash, key.id);
        Ok(())
    }

    /// Lets the texts of a key work until a moment at most.
    pub fn end_credentials(&mut self, key: ApiKeyId, at: Timestamp) {
        let sql = "UPDATE credential SET ends_at = $2 WHERE api_key_id = $1 AND (ends_at IS NULL OR ends_at > $2)";
        self.defer(sql.to_owned(), vec![key.0.into(), micros(at).into()]);
    }

    /// Forgets the texts of a key.
    pub fn delete_credentials(&mut self, key: Uuid) {
        self.defer("DELETE FROM credential WHERE api_key_id = $1".to_owned(), vec![key.into()]);
    }

    /// Sets a value of the installation.
    pub fn set(&mut self, key: &str, value: String) {
        let sql = "INSERT INTO setting (\"key\", value) VALUES ($1, $2) ON CONFLICT (\"key\") DO UPDATE SET value = excluded.value";
        self.defer(sql.to_owned(), vec![key.into(), value.into()]);
    }
}
