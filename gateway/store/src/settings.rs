//! Single values of the installation: the stream's epoch, the test clock, the seal keys.

use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait, sea_query::OnConflict};

use crate::{Error, Store, entity::setting};

/// [`Store::set`] on a connection or within a transaction.
pub(crate) async fn set(conn: &impl ConnectionTrait, key: &str, value: &str) -> Result<(), DbErr> {
    let row = setting::ActiveModel { key: Set(key.to_owned()), value: Set(value.to_owned()) };
    let mut clash = OnConflict::column(setting::Column::Key);
    clash.update_column(setting::Column::Value);
    setting::Entity::insert(row).on_conflict(clash).exec_without_returning(conn).await?;
    Ok(())
}

impl Store {
    /// The value under `key`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn setting(&self, key: &str) -> Result<Option<String>, Error> {
        Ok(setting::Entity::find_by_id(key).one(&self.0.read).await?.map(|row| row.value))
    }

    /// Sets the value under `key`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set(&self, key: &str, value: &str) -> Result<(), Error> {
        Ok(set(&self.0.write, key, value).await?)
    }

    /// Sets the value under `key` unless there is one, and gives the stored one: two processes that start together get the same.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_once(&self, key: &str, value: &str) -> Result<String, Error> {
        let sql = "INSERT INTO setting (\"key\", value) VALUES ($1, $2) ON CONFLICT (\"key\") DO NOTHING";
        self.0.write.execute_raw(self.statement(sql, [key.into(), value.into()])).await?;
        self.setting(key).await?.ok_or_else(|| Error::Corrupt { table: "setting", detail: format!("{key} is gone") })
    }

    /// The secret value under `key`, sealed with the master key. The first process of an installation makes it. One that is sealed with an older
    /// master key is sealed again with the current one, so that the older one can go.
    ///
    /// # Errors
    /// When the database fails, `fresh` does, or no configured master key opens the value.
    pub async fn secret_setting(&self, key: &str, fresh: impl FnOnce() -> Result<String, Error>) -> Result<String, Error> {
        let sealed = match self.setting(key).await? {
            Some(sealed) => sealed,
            None => self.set_once(key, &self.0.sealer.seal(&fresh()?, key)?).await?,
        };
        let value = self.0.sealer.open(&sealed, key)?;
        if !self.0.sealer.is_current(&sealed) {
            self.replace_setting(key, &sealed, &self.0.sealer.seal(&value, key)?).await?;
        }
        Ok(value)
    }

    /// Replaces `old` by `new`, unless another process has changed it meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn replace_setting(&self, key: &str, old: &str, new: &str) -> Result<(), Error> {
        let sql = "UPDATE setting SET value = $3 WHERE \"key\" = $1 AND value = $2";
        self.0.write.execute_raw(self.statement(sql, [key.into(), old.into(), new.into()])).await?;
        Ok(())
    }
}
