//! Checks that the configured master keys are those of this database, and reseals its secrets with the current one.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use crate::{Error, Store, configurations::aad_of, entity::configuration, secrets::Sealer};

/// The setting with a known value, sealed: a key that opens it is right.
const CHECK: &str = "master_key_check";
/// The known value.
const KNOWN: &str = "billwire";

/// Whether the configured master keys fit a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKey {
    /// They do.
    Right,
    /// They do not.
    Wrong {
        /// The id of the key that does.
        needed: String,
        /// The id of the configured current key.
        configured: String,
    },
}

impl Store {
    /// Checks the master keys against this database. Everything sealed with an older key is resealed with the current one, so that the
    /// older key is no longer needed. At the first start the current key becomes the database's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn check_master_key(&self) -> Result<MasterKey, Error> {
        let check = self.setting(CHECK).await?;
        if let Some(sealed) = &check
            && self.0.sealer.open(sealed, CHECK).is_err()
        {
            return Ok(self.wrong(sealed));
        }
        let unread = self.seal_anew().await?;
        if let (None, Some((sealed, 0))) = (&check, &unread) {
            // A database from before there was a check: its secrets decide.
            return Ok(self.wrong(sealed));
        }
        if let Some((sealed, _)) = &unread {
            let key = Sealer::key_of(sealed).unwrap_or_default();
            tracing::warn!(key, "some secrets are sealed with a master key that is not configured; what needs them will fail");
        }
        let checked = self.keep_check(check).await?;
        if checked == MasterKey::Right {
            // Seals their key anew too, and takes over the API keys of the version before.
            self.credential_hash("").await?;
        }
        Ok(checked)
    }

    fn wrong(&self, sealed: &str) -> MasterKey {
        let needed = Sealer::key_of(sealed).unwrap_or("unknown").to_owned();
        MasterKey::Wrong { needed, configured: self.0.sealer.current_key().to_owned() }
    }

    /// Reseals every secret of the configuration with the current key. Gives one whose key is not configured, if there is any, and how many
    /// secrets could be opened.
    async fn seal_anew(&self) -> Result<Option<(String, usize)>, Error> {
        let held = configuration::Column::Secrets.is_not_null();
        let rows = configuration::Entity::find().filter(held).all(&self.0.read).await?;
        let (mut unread, mut readable) = (None, 0);
        for row in rows {
            let Some(sealed) = row.secrets else { continue };
            let aad = aad_of(&row.tenant, &row.kind, row.id);
            let Ok(secret) = self.0.sealer.open(&sealed, &aad) else {
                if self.0.sealer.knows(&sealed) {
                    tracing::error!(kind = row.kind, id = %row.id, "a secret is damaged and must be set again");
                } else {
                    unread = Some(sealed);
                }
                continue;
            };
            readable += 1;
            if self.0.sealer.is_current(&sealed) {
                continue;
            }
            let anew = self.0.sealer.seal(&secret, &aad)?;
            // A secret that was changed meanwhile was sealed with the current key then.
            let sql = "UPDATE configuration SET secrets = $1 WHERE id = $2 AND secrets = $3";
            self.0.write.execute_raw(self.statement(sql, [anew.into(), row.id.into(), sealed.into()])).await?;
        }
        Ok(unread.map(|sealed| (sealed, readable)))
    }

    /// Creates the check value, or reseals it with the current key.
    async fn keep_check(&self, check: Option<String>) -> Result<MasterKey, Error> {
        let seal = || self.0.sealer.seal(KNOWN, CHECK);
        // Another process may be faster, with another key.
        let kept = match check {
            Some(sealed) if self.0.sealer.is_current(&sealed) => return Ok(MasterKey::Right),
            Some(sealed) => {
                self.replace_setting(CHECK, &sealed, &seal()?).await?;
                self.setting(CHECK).await?.unwrap_or_default()
            }
            None => self.set_once(CHECK, &seal()?).await?,
        };
        if self.0.sealer.open(&kept, CHECK).is_ok() { Ok(MasterKey::Right) } else { Ok(self.wrong(&kept)) }
    }
}
